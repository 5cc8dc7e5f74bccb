//! Reading a TOML table key by key, so that every mistake is found in one pass.
//!
//! A key that was never asked for is a mistake too, and the keys that were asked for are what it
//! may have been meant to be. Values are judged by the functions of [`crate::value`]; this file
//! only knows TOML's own types.

use std::ops::{Range, RangeInclusive};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::source::Source;
use crate::value::{Wrong, likeness};

/// A table that is being read.
pub(crate) struct Table<'t> {
    source: &'t Source,
    name: String,
    span: Range<usize>,
    entries: &'t DeTable<'t>,
    known: Vec<&'static str>,
}

/// A value, and the name and place under which it stands.
pub(crate) struct Field<'t> {
    source: &'t Source,
    name: String,
    span: Range<usize>,
    value: &'t DeValue<'t>,
}

impl<'t> Table<'t> {
    /// The table of a whole file.
    pub(crate) fn root(source: &'t Source, tree: &'t Spanned<DeTable<'t>>) -> Self {
        let known = Vec::new();
        Self { source, name: String::new(), span: tree.span(), entries: tree.get_ref(), known }
    }

    /// The value of a key, if it is there. Whoever asks makes the key a known one.
    pub(crate) fn field(&mut self, key: &'static str) -> Option<Field<'t>> {
        self.known.push(key);
        let value = self.entries.get(key)?;
        let name = self.full_name(key);
        Some(Field { source: self.source, name, span: value.span(), value: value.get_ref() })
    }

    /// A key's value by `parse`; none if it is not there, or wrong, which is reported.
    pub(crate) fn read<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Field<'t>) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.field(key)?.judge(parse)
    }

    /// Like [`Table::read`], but reports a key that is not there, and what to write.
    pub(crate) fn require<T>(
        &mut self,
        key: &'static str,
        example: &str,
        parse: impl FnOnce(&Field<'t>) -> Result<T, Wrong>,
    ) -> Option<T> {
        let field = self.field(key);
        if field.is_none() {
            let name = self.full_name(key);
            self.report(format!("{name} is missing; write {key} = {example}"));
        }
        field?.judge(parse)
    }

    /// Puts a key's value where its default is, if it is there and right.
    pub(crate) fn set<T>(
        &mut self,
        key: &'static str,
        target: &mut T,
        parse: impl FnOnce(&Field<'t>) -> Result<T, Wrong>,
    ) {
        if let Some(value) = self.read(key, parse) {
            *target = value;
        }
    }

    /// Reads the table under a key by `read`, and reports what `read` didn't ask for.
    pub(crate) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Table<'t>) -> T,
    ) -> Option<T> {
        let mut table = self.read(key, Field::table)?;
        let value = read(&mut table);
        table.finish();
        Some(value)
    }

    /// Reports every key that was never asked for.
    pub(crate) fn finish(self) {
        for key in self.entries.keys() {
            if self.known.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let instead = match likeness::closest(key.get_ref(), self.known.iter().copied()) {
                Some(known) => format!("write {known}"),
                None => format!("the keys here are {}", self.known.join(", ")),
            };
            let name = self.full_name(key.get_ref());
            self.source.report(key.span(), format!("unknown key {name}; {instead}"));
        }
    }

    /// Reports a problem with the table as a whole.
    pub(crate) fn report(&self, message: impl Into<String>) {
        self.source.report(self.span.clone(), message);
    }

    /// Where the file is, which paths are relative to.
    pub(crate) fn folder(&self) -> &'t Path {
        self.source.folder()
    }

    fn full_name(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

impl<'t> Field<'t> {
    /// The file that the value stands in.
    pub(crate) fn source(&self) -> &'t Source {
        self.source
    }

    /// The key that the value stands under, with the tables that it is in.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The line that the value begins on, from 1.
    pub(crate) fn line(&self) -> usize {
        self.source.line(self.span.start)
    }

    /// The value by `parse`; none if it is wrong, which is reported.
    pub(crate) fn judge<T>(&self, parse: impl FnOnce(&Self) -> Result<T, Wrong>) -> Option<T> {
        parse(self).map_err(|wrong| self.report(&wrong.to_string())).ok()
    }

    /// Reports a problem with the value; `message` continues "KEY …".
    pub(crate) fn report(&self, message: &str) {
        self.source.report(self.span.clone(), format!("{} {message}", self.name));
    }

    /// The value as TOML has it, for where any kind of value may stand.
    pub(crate) fn value(&self) -> &'t DeValue<'t> {
        self.value
    }

    /// A string.
    pub(crate) fn text(&self) -> Result<&'t str, Wrong> {
        self.value.as_str().ok_or_else(|| self.not("a string, in quotes"))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Result<bool, Wrong> {
        self.value.as_bool().ok_or_else(|| self.not("true or false, without quotes"))
    }

    /// A whole number.
    pub(crate) fn integer<T: TryFrom<i64>>(&self, range: RangeInclusive<i64>) -> Result<T, Wrong> {
        let instead = format!("a whole number from {} to {}", range.start(), range.end());
        let integer = self.value.as_integer().ok_or_else(|| self.not(&instead))?;
        i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| Wrong::new(format!("is {integer}"), format!("write {instead}")))
    }

    /// A number with or without a fraction.
    pub(crate) fn number(&self, range: RangeInclusive<f64>) -> Result<f64, Wrong> {
        let instead = format!("a number from {} to {}", range.start(), range.end());
        let written = match self.value {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return Err(self.not(&instead)),
        };
        // NaN is in no range.
        let number = written.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| Wrong::new(format!("is {written}"), format!("write {instead}")))
    }

    /// The elements of an array, each with its own place.
    pub(crate) fn elements(&self) -> Result<Vec<Field<'t>>, Wrong> {
        let array = self.value.as_array().ok_or_else(|| self.not("a list in [ ]"))?;
        let element = |(index, value): (usize, &'t Spanned<DeValue<'t>>)| Field {
            source: self.source,
            name: format!("{}[{index}]", self.name),
            span: value.span(),
            value: value.get_ref(),
        };
        Ok(array.iter().enumerate().map(element).collect())
    }

    /// The elements of an array by `parse`; those that are wrong are reported and left out.
    pub(crate) fn list<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        let elements = self.elements()?;
        Ok(elements.iter().filter_map(|e| e.judge(|e| parse(e.text()?))).collect())
    }

    /// A table.
    pub(crate) fn table(&self) -> Result<Table<'t>, Wrong> {
        let entries = self.value.as_table().ok_or_else(|| self.not("a table"))?;
        let (name, span) = (self.name.clone(), self.span.clone());
        Ok(Table { source: self.source, name, span, entries, known: Vec::new() })
    }

    /// The values of a table whose keys are free, in the order of the file.
    pub(crate) fn entries(&self) -> Result<Vec<(&'t str, Field<'t>)>, Wrong> {
        let table = self.value.as_table().ok_or_else(|| self.not("a table"))?;
        let mut entries: Vec<_> = table.iter().collect();
        // The parser sorts them by their names.
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)| {
            let key: &str = key.get_ref().as_ref();
            let name = format!("{}.{key}", self.name);
            let (span, value) = (value.span(), value.get_ref());
            (key, Field { source: self.source, name, span, value })
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    fn not(&self, expected: &str) -> Wrong {
        let article = match self.value.type_str() {
            kind @ ("integer" | "array") => format!("an {kind}"),
            kind => format!("a {kind}"),
        };
        Wrong::new(format!("is {article}"), format!("write {expected}"))
    }
}
