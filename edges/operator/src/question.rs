//! What stands behind the question mark of an address.

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// The most parameters that are looked at.
const MOST_PARAMETERS: usize = 16;

/// The most bytes of a wrong value that are sent back.
const MOST_SHOWN: usize = 100;

/// Named values.
#[derive(Debug)]
pub(crate) struct Question(Vec<(String, String)>);

/// A value that does not fit: the reader's fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name}: expected {expected}, found {found:?}")]
pub(crate) struct Wrong {
    name: &'static str,
    found: String,
    expected: String,
}

impl Wrong {
    pub fn new(name: &'static str, found: &str, expected: impl Into<String>) -> Self {
        let shown =
            found.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MOST_SHOWN);
        let found = found[..shown.last().unwrap_or(0)].to_owned();
        Self { name, found, expected: expected.into() }
    }
}

impl Question {
    /// Reads `a=1&b=2`. What is no text is read as well as can be: it then fits nothing.
    pub fn read(query: Option<&str>) -> Self {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let named = pairs.take(MOST_PARAMETERS).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(named.collect())
    }

    /// The first value of this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Which of these words the value is; none where there is none or it is empty.
    pub fn word(&self, name: &'static str, words: &[&str]) -> Result<Option<usize>, Wrong> {
        let Some(value) = self.text(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let place = words.iter().position(|word| *word == value);
        place.map(Some).ok_or_else(|| Wrong::new(name, value, format!("one of {}", words.join(", "))))
    }

    /// The value as a number from 0 to `most`, or `otherwise`.
    pub fn number(&self, name: &'static str, otherwise: usize, most: usize) -> Result<usize, Wrong> {
        let Some(value) = self.text(name) else { return Ok(otherwise) };
        let number = value.parse().ok().filter(|number| *number <= most);
        number.ok_or_else(|| Wrong::new(name, value, format!("a number from 0 to {most}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_the_first_counts() {
        let question = Question::read(Some("find=a%20b+c%C3%A4&limit=7&limit=8&empty=&bare&%zz=%ff"));
        assert_eq!(question.text("find"), Some("a b cä"));
        assert_eq!(question.number("limit", 1, 10), Ok(7));
        assert_eq!(question.text("bare"), Some(""));
        assert_eq!(question.text("absent"), None);
        assert_eq!(question.word("empty", &["x"]), Ok(None));
    }

    #[test]
    fn a_wrong_value_is_named_with_what_was_expected() {
        let long = format!("limit=11&sort=up&neg=-1&find={}", "ö".repeat(300));
        let question = Question::read(Some(&long));
        let wrong = question.number("limit", 1, 10).unwrap_err().to_string();
        assert_eq!(wrong, "limit: expected a number from 0 to 10, found \"11\"");
        let wrong = question.word("sort", &["newest", "round"]).unwrap_err().to_string();
        assert_eq!(wrong, "sort: expected one of newest, round, found \"up\"");
        assert!(question.number("neg", 0, 9).is_err());
        let shown = Wrong::new("find", question.text("find").unwrap(), "less").to_string();
        assert_eq!(shown.chars().filter(|c| *c == 'ö').count(), 50);
    }

    #[test]
    fn only_so_many_parameters_are_looked_at() {
        let many: String = (0..1000).map(|n| format!("p{n}={n}&")).collect();
        assert_eq!(Question::read(Some(&many)).0.len(), MOST_PARAMETERS);
    }
}
