//! Counts placeholders as a client's library would find them: by what the JSON means, not by how
//! it is written.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// How many objects in these JSON values (joined by commas) have a `_placeholder` that is true;
/// `None` if they are not JSON, or nested too deeply.
pub(super) fn placeholders(json: &str) -> Option<usize> {
    if !json.contains("_placeholder") && !json.contains('\\') {
        return Some(0);
    }
    let mut count = 0;
    let array = format!("[{json}]");
    let mut deserializer = serde_json::Deserializer::from_str(&array);
    Walk { count: &mut count }.deserialize(&mut deserializer).ok()?;
    Some(count)
}

/// Walks through a value. What it gives is whether the value is `true`.
struct Walk<'a> {
    count: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element_seed(Walk { count: self.count })?.is_some() {}
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        // The last of two fields of one name counts, as in JavaScript.
        let mut marked = false;
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Walk { count: self.count })?;
            if name == "_placeholder" {
                marked = value;
            }
        }
        *self.count += usize::from(marked);
        Ok(false)
    }
}
