//! Puts other words in the place of competitors' names.
//!
//! Settings: `words`, the names, found as whole words in any case; `replacement`, what stands in their place.
//! A name that only the folded text shows (full-width letters, invisible characters between) has no exact place, so
//! it is flagged.

mod abi;

use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Input {
    text: String,
    normalized: String,
    settings: Settings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    words: Vec<String>,
    #[serde(default = "another_vendor")]
    replacement: String,
}

fn another_vendor() -> String {
    "another vendor".to_string()
}

#[derive(Serialize)]
struct Span {
    /// Bytes of UTF-8, as Rust counts them.
    start: usize,
    end: usize,
    replace: String,
}

#[derive(Serialize)]
struct Output {
    action: &'static str,
    reason: String,
    spans: Vec<Span>,
    labels: Vec<&'static str>,
}

#[derive(Serialize)]
struct Validity {
    valid: bool,
    message: String,
}

/// The most spans that an answer may hold.
const MAX_SPANS: usize = 256;

fn evaluate(input: Input) -> Output {
    let words = Words::of(&input.settings.words);
    let spans: Vec<Span> = words
        .places(&input.text)
        .map(|(start, end)| Span { start, end, replace: input.settings.replacement.clone() })
        .take(MAX_SPANS + 1)
        .collect();
    if spans.len() > MAX_SPANS {
        // What cannot be redacted whole must not pass in part.
        return answer("block", "too many competitors' names to redact", Vec::new());
    }
    if !spans.is_empty() {
        return answer("redact", "names a competitor", spans);
    }
    if words.places(&input.normalized).next().is_some() {
        return answer("flag", "names a competitor in disguise", Vec::new());
    }
    Output { action: "allow", reason: String::new(), spans: Vec::new(), labels: Vec::new() }
}

fn answer(action: &'static str, reason: &str, spans: Vec<Span>) -> Output {
    Output { action, reason: reason.to_string(), spans, labels: vec!["competitor"] }
}

fn validate(settings: Result<Settings, serde_json::Error>) -> Validity {
    let message = match settings {
        Err(error) => error.to_string(),
        Ok(settings) if settings.words.is_empty() => "words: name at least one".to_string(),
        Ok(settings) if settings.words.iter().any(|word| !word.starts_with(char::is_alphanumeric)) => {
            "words: each starts with a letter or a digit".to_string()
        }
        Ok(settings) if settings.replacement.len() > 1024 => "replacement: at most 1024 bytes".to_string(),
        Ok(_) => String::new(),
    };
    Validity { valid: message.is_empty(), message }
}

/// Words in lower case, longest first: of two that begin alike the longer one is found.
struct Words(Vec<Vec<char>>);

impl Words {
    fn of(words: &[String]) -> Words {
        let mut folded: Vec<Vec<char>> =
            words.iter().map(|word| word.chars().flat_map(char::to_lowercase).collect()).collect();
        folded.sort_by_key(|word| std::cmp::Reverse(word.len()));
        Words(folded)
    }

    /// Where whole words of a text are among these, left to right, as byte ranges.
    fn places<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
        let mut at = 0;
        let mut within_word = false;
        std::iter::from_fn(move || {
            while let Some(here) = text[at..].chars().next() {
                let start = at;
                let begins = here.is_alphanumeric() && !within_word;
                if let Some(end) = begins.then(|| self.end_at(text, start)).flatten() {
                    at = end;
                    within_word = true;
                    return Some((start, end));
                }
                at += here.len_utf8();
                within_word = here.is_alphanumeric();
            }
            None
        })
    }

    fn end_at(&self, text: &str, start: usize) -> Option<usize> {
        self.0.iter().find_map(|word| {
            let end = start + prefix(&text[start..], word)?;
            let whole = !text[end..].starts_with(char::is_alphanumeric);
            whole.then(|| end)
        })
    }
}

/// The bytes at a text's beginning that are this word in some case.
fn prefix(text: &str, word: &[char]) -> Option<usize> {
    let mut left = word;
    for (at, here) in text.char_indices() {
        if left.is_empty() {
            return Some(at);
        }
        for folded in here.to_lowercase() {
            let (first, rest) = left.split_first()?;
            if *first != folded {
                return None;
            }
            left = rest;
        }
    }
    left.is_empty().then(|| text.len())
}
