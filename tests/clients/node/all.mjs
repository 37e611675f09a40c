// Everything at once with OpenAI's Node package; prints what came of each as JSON.
// Arguments: base URL, API key, question, tools in JSON.
import OpenAI from "openai";

const [baseURL, apiKey, question, tools] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: question }];
const offered = JSON.parse(tools);
const schema = {
  type: "object",
  properties: { machine: { type: "string" }, hours: { type: "integer" } },
  required: ["machine", "hours"],
  additionalProperties: false,
};

async function failing(work) {
  try {
    await work();
  } catch (error) {
    return { kind: error.constructor.name, status: error.status, code: error.code };
  }
  return null;
}

async function collected(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const create = (fields) => client.chat.completions.create({ model: "default", messages, ...fields });

async function toolsRun() {
  const asked = [];
  const runner = client.chat.completions.runTools({
    model: "default",
    messages,
    stream: true,
    tools: offered.map((tool) => ({
      type: "function",
      function: {
        ...tool.function,
        parse: JSON.parse,
        function: (given) => {
          asked.push(given);
          return "Sunny.";
        },
      },
    })),
  });
  return { text: await runner.finalContent(), asked };
}

const results = {
  chat: await create({}),
  stream: await collected(await create({ stream: true, stream_options: { include_usage: true } })),
  windowed: await collected(await create({ model: "windowed", stream: true })),
  tools: await create({ tools: offered }),
  tools_streamed: await client.chat.completions
    .stream({ model: "windowed", messages, tools: offered })
    .finalChatCompletion(),
  tools_run: await toolsRun(),
  several: await create({ n: 2 }),
  logprobs: await create({ logprobs: true, top_logprobs: 1 }),
  schema: await client.chat.completions.parse({
    model: "default",
    messages,
    response_format: { type: "json_schema", json_schema: { name: "service", strict: true, schema } },
  }),
  models: (await collected(await client.models.list())).map((model) => model.id),
  unknown_key: await failing(() => new OpenAI({ baseURL, apiKey: "wrong-key-0123456789" }).models.list()),
  unknown_model: await failing(() => create({ model: "nope" })),
  bad_request: await failing(() => create({ n: 0 })),
};
console.log(JSON.stringify(results));
