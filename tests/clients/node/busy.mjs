// What a busy server looks like. Arguments: base URL, API key, question.
import OpenAI from "openai";

const [baseURL, apiKey, question] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
try {
  await client.chat.completions.create({ model: "default", messages: [{ role: "user", content: question }] });
} catch (error) {
  const kind = error.constructor.name;
  console.log(JSON.stringify({ kind, status: error.status, after: error.headers.get("retry-after") }));
}
