//! The values under `data` and `args`: TOML's, with references in their strings.
//!
//! They become JSON, which has no dates and no infinite numbers.

use toml::de::DeValue;

use super::super::table::Field;
use crate::events::Template;
use crate::value::Wrong;
use crate::value::reference::{self, Occasion, Said};

/// How deep lists and tables may lie in each other. A rule is written by hand; the bound is for
/// those who walk the tree.
const DEPTH_MAX: usize = 16;

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a list, where one entry may become several values.
    Element,
    /// Under a key.
    Value,
}

/// The only argument, which `$args` makes as many as came; none if it is wrong, which is reported.
pub(super) fn one(field: &Field<'_>, occasion: Occasion) -> Option<Template> {
    Reader { occasion }.read(field, Place::Element, DEPTH_MAX)
}

/// A list of arguments; none if one of them is wrong, which is reported.
pub(super) fn several(field: &Field<'_>, occasion: Occasion) -> Option<Vec<Template>> {
    let elements = field.judge(Field::elements)?;
    Reader { occasion }.list(&elements, DEPTH_MAX)
}

struct Reader {
    occasion: Occasion,
}

impl Reader {
    /// `depth` is how many lists and tables may begin from here on.
    fn read(&self, field: &Field<'_>, place: Place, depth: usize) -> Option<Template> {
        match field.value() {
            DeValue::String(text) => field.judge(|_| self.text(text, place)),
            DeValue::Integer(_) => {
                field.judge(|f| f.integer(i64::MIN..=i64::MAX)).map(Template::Integer)
            }
            DeValue::Float(float) => field.judge(|_| finite(float.as_str())).map(Template::Float),
            DeValue::Boolean(flag) => Some(Template::Flag(*flag)),
            DeValue::Datetime(_) => {
                field.report("is a date, which JSON does not have; write it in quotes");
                None
            }
            DeValue::Array(_) | DeValue::Table(_) if depth == 0 => {
                field.report(&format!(
                    "lies deeper than {DEPTH_MAX} lists and tables; write a flatter value"
                ));
                None
            }
            DeValue::Array(_) => {
                let elements = field.judge(Field::elements)?;
                self.list(&elements, depth - 1).map(Template::List)
            }
            DeValue::Table(_) => {
                let entries = field.judge(Field::entries)?;
                let read = |(key, field): &(&str, Field<'_>)| {
                    self.read(field, Place::Value, depth - 1)
                        .map(|value| ((*key).to_owned(), value))
                };
                all(entries.iter().map(read)).map(Template::Table)
            }
        }
    }

    fn list(&self, elements: &[Field<'_>], depth: usize) -> Option<Vec<Template>> {
        all(elements.iter().map(|element| self.read(element, Place::Element, depth)))
    }

    fn text(&self, written: &str, place: Place) -> Result<Template, Wrong> {
        match reference::parse(written, self.occasion)? {
            Said::Text(text) => Ok(Template::Text(text)),
            Said::Reference(reference) => Ok(Template::Reference(reference)),
            Said::Arguments if place == Place::Element => Ok(Template::Arguments),
            Said::Arguments => Err(Wrong::new(
                "refers to $args, which stands for several values",
                "write [\"$args\"] for a list of them",
            )),
        }
    }
}

/// All of them, if all are there. Goes on after one that isn't, so that every mistake is found.
fn all<T>(read: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = read.collect();
    read.into_iter().collect()
}

fn finite(written: &str) -> Result<f64, Wrong> {
    let number = written.parse::<f64>().ok().filter(|number| number.is_finite());
    let wrong = || Wrong::new(format!("is {written}, which JSON does not have"), "write a number");
    number.ok_or_else(wrong)
}
