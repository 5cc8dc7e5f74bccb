//! The parameters of a request's query.

use percent_encoding::percent_decode_str;

use crate::api::Problem;

/// What a query may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Namespace,
    After,
    Before,
    Limit,
}

impl Parameter {
    pub(super) fn name(self) -> &'static str {
        match self {
            Parameter::Namespace => "namespace",
            Parameter::After => "after",
            Parameter::Before => "before",
            Parameter::Limit => "limit",
        }
    }
}

/// The parameters, decoded; what they mean is checked where they are used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) namespace: String,
    /// An offset or a user.
    pub(super) after: Option<String>,
    pub(super) before: Option<u64>,
    /// 0 if it is not given.
    pub(super) limit: u32,
}

impl Query {
    /// Takes the parameters in `known`. Another one is a mistake: a misspelt `limit` or
    /// `namespace` would be answered with what nobody asked for.
    ///
    /// # Errors
    /// `bad_request` that names the parameter.
    pub(super) fn parse(query: &str, known: &[Parameter]) -> Result<Self, Problem> {
        let mut read = Self::default();
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(parameter) = known.iter().copied().find(|known| known.name() == name) else {
                return Err(Problem::bad(unknown(name, known)));
            };
            if seen.contains(&parameter) {
                return Err(Problem::bad(format!("`{name}` is given twice; give it once")));
            }
            seen.push(parameter);
            let value = decode(name, value)?;
            match parameter {
                Parameter::Namespace => read.namespace = value,
                Parameter::After => read.after = Some(value),
                Parameter::Before => read.before = Some(number(name, &value)?),
                Parameter::Limit => {
                    let limit = number(name, &value)?;
                    read.limit = u32::try_from(limit).unwrap_or(u32::MAX);
                    if limit == 0 {
                        return Err(Problem::bad("`limit` must be at least 1"));
                    }
                }
            }
        }
        Ok(read)
    }

    /// `after` where it is an offset.
    ///
    /// # Errors
    /// `bad_request` if it is none.
    pub(super) fn after_offset(&self) -> Result<Option<u64>, Problem> {
        self.after.as_deref().map(|after| number("after", after)).transpose()
    }
}

fn unknown(name: &str, known: &[Parameter]) -> String {
    let known: Vec<_> = known.iter().map(|known| format!("`{}`", known.name())).collect();
    // It is the caller's own text, cut so that the answer stays short.
    let name: String = name.chars().take(64).collect();
    if known.is_empty() {
        format!("the query has {name:?}, and nothing is taken from it here; leave it out")
    } else {
        format!("the query has {name:?}; what can be given is {}", known.join(", "))
    }
}

fn decode(name: &str, value: &str) -> Result<String, Problem> {
    // Forms write a space as `+`, and URLSearchParams does so too.
    let value = value.replace('+', " ");
    match percent_decode_str(&value).decode_utf8() {
        Ok(value) => Ok(value.into_owned()),
        Err(_) => Err(Problem::bad(format!("`{name}` is not UTF-8; encode it as such"))),
    }
}

fn number(name: &str, value: &str) -> Result<u64, Problem> {
    // `parse` would take a plus sign too.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { value.parse().ok() } else { None };
    number.ok_or_else(|| Problem::bad(format!("`{name}` must be a whole number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Parameter; 4] =
        [Parameter::Namespace, Parameter::After, Parameter::Before, Parameter::Limit];

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("namespace=%2Fgame&after=5&before=9&limit=2", &ALL);
        let query = query.expect("good");
        assert_eq!(query.namespace, "/game");
        assert_eq!(query.after_offset(), Ok(Some(5)));
        assert_eq!((query.before, query.limit), (Some(9), 2));
        assert_eq!(Query::parse("", &ALL), Ok(Query::default()));
    }

    #[test]
    fn a_mistake_is_named() {
        for query in
            ["limti=5", "limit=0", "limit=", "limit=+1", "before=x", "after=%FF", "limit=1&limit=1"]
        {
            assert!(Query::parse(query, &ALL).is_err(), "{query}");
        }
        let known = Query::parse("limti=5", &ALL).expect_err("unknown").message;
        assert!(known.contains("limti") && known.contains("`limit`"), "{known}");
        assert!(Query::parse("limit=5", &[]).is_err());
        let huge = Query::parse("limit=99999999999", &ALL).expect("too much, but a number");
        assert_eq!(huge.limit, u32::MAX);
    }
}
