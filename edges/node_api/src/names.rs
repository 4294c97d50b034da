//! Names and their auctions: nobody has a name on this chain.

use strait_encoding::text::{self, Prefix};

use crate::answer::{Answer, Fault};
use crate::ask::{Ask, text_fault};
use crate::param::{NAME, NAME_HASH};

/// Who gives out names.
const REGISTRARS: [&str; 2] = ["chain", "test"];

/// The longest label of a name, in ASCII.
const LONGEST_LABEL: usize = 63;

/// `/names/{name}` and `/auctions/{name}`.
pub(crate) fn name(ask: &Ask<'_>) -> Answer {
    match name_fault(ask.in_path(&NAME)) {
        Some(code) => {
            let reason = format!("Name validation failed with a reason: {code}");
            Err(Fault::bad_request(&reason).code(code))
        }
        None => Err(none()),
    }
}

/// `/names/hash/{name_hash}`.
pub(crate) fn name_by_hash(ask: &Ask<'_>) -> Answer {
    let found = ask.in_path(&NAME_HASH);
    text::decode(Prefix::Name, found)
        .map_err(|_| Fault::bad_request("Invalid name hash").code(text_fault(found)))?;
    Err(none())
}

fn none() -> Fault {
    Fault::not_found("Name not found").code("name_not_found")
}

/// What a node finds wrong with a name. Labels beyond ASCII are not looked into.
fn name_fault(name: &str) -> Option<&'static str> {
    let name = name.trim_end_matches('.');
    let Some((label, registrar)) = name.split_once('.') else { return Some("no_registrar") };
    if registrar.contains('.') {
        return Some("multiple_namespaces");
    }
    if !REGISTRARS.contains(&registrar) {
        return Some("registrar_unknown");
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if label.is_empty() {
        Some("no_label_in_registrar")
    } else if label.is_ascii()
        && (label.len() > LONGEST_LABEL
            || label.starts_with('-')
            || label.ends_with('-')
            || !label.bytes().all(fits))
    {
        Some("invalid_name")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_name_has_a_name() {
        let long = format!("{}.chain", "a".repeat(64));
        for (name, fault) in [
            ("some-name9.chain", None),
            ("MixedCase.test", None),
            ("naïve.chain", None),
            ("name.chain.", None),
            ("name", Some("no_registrar")),
            ("name.", Some("no_registrar")),
            ("", Some("no_registrar")),
            ("sub.name.chain", Some("multiple_namespaces")),
            ("name.aet", Some("registrar_unknown")),
            (".chain", Some("no_label_in_registrar")),
            ("-name.chain", Some("invalid_name")),
            ("na_me.chain", Some("invalid_name")),
            (&long, Some("invalid_name")),
        ] {
            assert_eq!(name_fault(name), fault, "{name}");
        }
    }
}
