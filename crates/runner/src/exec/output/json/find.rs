//! Finding one value in a JSON text without keeping the rest of it, so that no text takes more memory than its length.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A value that has no parts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Leaf {
    Text(String),
    Number(Number),
}

impl Leaf {
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) => None,
        }
    }

    pub(super) fn number(self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(_) => None,
        }
    }
}

/// Whether a text is JSON.
pub(super) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// A JSON pointer (RFC 6901).
#[derive(Clone, Debug)]
pub(super) struct Pointer {
    tokens: Vec<String>,
}

impl Pointer {
    /// What is no pointer points nowhere.
    pub(super) fn parse(pointer: &str) -> Option<Self> {
        if pointer.is_empty() {
            return Some(Self { tokens: Vec::new() });
        }
        let tokens = pointer.strip_prefix('/')?.split('/');
        Some(Self { tokens: tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).collect() })
    }

    /// The string or number there.
    pub(super) fn find(&self, text: &[u8]) -> Option<Leaf> {
        Search { tokens: &self.tokens }.deserialize(&mut serde_json::Deserializer::from_slice(text)).ok()?
    }
}

/// Goes down a path.
#[derive(Clone, Copy)]
struct Search<'a> {
    tokens: &'a [String],
}

impl Search<'_> {
    /// The value itself, if it is what is searched for.
    fn leaf(self, leaf: impl FnOnce() -> Leaf) -> Option<Leaf> {
        self.tokens.is_empty().then(leaf)
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = Option<Leaf>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Leaf>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = Option<Leaf>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<Leaf>, E> {
        Ok(self.leaf(|| Leaf::Text(text.to_owned())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<Leaf>, E> {
        Ok(self.leaf(|| Leaf::Number(number.into())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<Leaf>, E> {
        Ok(self.leaf(|| Leaf::Number(number.into())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<Leaf>, E> {
        Ok(Number::from_f64(number).and_then(|number| self.leaf(|| Leaf::Number(number))))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<Leaf>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Leaf>, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Leaf>, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            match self.tokens.split_first() {
                Some((token, tokens)) if *token == key => found = map.next_value_seed(Search { tokens })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<Leaf>, A::Error> {
        let wanted = self.tokens.split_first().and_then(|(token, tokens)| Some((index(token)?, tokens)));
        let mut found = None;
        for place in 0.. {
            match wanted {
                Some((index, tokens)) if index == place => match list.next_element_seed(Search { tokens })? {
                    Some(value) => found = value,
                    None => break,
                },
                _ if list.next_element::<IgnoredAny>()?.is_none() => break,
                _ => {}
            }
        }
        Ok(found)
    }
}

/// A place in a list, written without leading zeros or a sign.
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with(['0', '+']);
    token.parse().ok().filter(|_| canonical)
}

#[cfg(test)]
mod tests;
