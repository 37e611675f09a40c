//! Flags texts that hold one of the settings' words.

mod abi;

use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Input {
    text: String,
    settings: Settings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    words: Vec<String>,
}

#[derive(Serialize)]
struct Span {
    /// Bytes of UTF-8, as Rust counts them.
    start: usize,
    end: usize,
}

#[derive(Serialize)]
struct Output {
    action: &'static str,
    reason: &'static str,
    spans: Vec<Span>,
    labels: Vec<&'static str>,
}

#[derive(Serialize)]
struct Validity {
    valid: bool,
    message: String,
}

fn evaluate(input: Input) -> Output {
    let first = |word: &String| input.text.find(word.as_str()).map(|start| Span { start, end: start + word.len() });
    let spans: Vec<Span> = input.settings.words.iter().filter_map(first).collect();
    if spans.is_empty() {
        return Output { action: "allow", reason: "", spans, labels: vec![] };
    }
    Output { action: "flag", reason: "holds a listed word", spans, labels: vec!["listed-word"] }
}

fn validate(settings: Result<Settings, serde_json::Error>) -> Validity {
    let message = match settings {
        Err(error) => error.to_string(),
        Ok(settings) if settings.words.iter().any(String::is_empty) => "words: one is empty".to_string(),
        Ok(_) => String::new(),
    };
    Validity { valid: message.is_empty(), message }
}
