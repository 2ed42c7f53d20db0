//! The few lines of JSON that rare replies (events, errors, offsets) need; records never pass through here.

use std::fmt::Write;

/// Appends `text` as a JSON string.
pub fn string(out: &mut String, text: &str) {
  out.push('"');
  for c in text.chars() {
    match c {
      '"' => out.push_str("\\\""),
      '\\' => out.push_str("\\\\"),
      '\n' => out.push_str("\\n"),
      c if (c as u32) < 0x20 => {
        let _ = write!(out, "\\u{:04x}", c as u32);
      }
      c => out.push(c),
    }
  }
  out.push('"');
}

/// `text` as a JSON string.
pub fn quoted(text: &str) -> String {
  let mut out = String::with_capacity(text.len() + 2);
  string(&mut out, text);
  out
}

/// A JSON array of values that are JSON already.
pub fn array<I: IntoIterator<Item = String>>(values: I) -> String {
  let mut out = String::from("[");
  for (i, value) in values.into_iter().enumerate() {
    if i > 0 {
      out.push(',');
    }
    out.push_str(&value);
  }
  out.push(']');
  out
}
