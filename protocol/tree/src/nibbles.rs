//! Keys as sequences of half bytes, and their compact form inside nodes (`docs/protocol/state_trees` §1).
//!
//! A sequence is a slice with one nibble, 0 to 15, in each byte.

/// Which kind of two-item node a path stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Extension,
    Leaf,
}

/// The nibbles of a key, high nibble of each byte first.
pub(crate) fn of_key(key: &[u8]) -> Vec<u8> {
    let mut nibbles = Vec::with_capacity(key.len() * 2);
    for byte in key {
        nibbles.extend([byte >> 4, byte & 15]);
    }
    nibbles
}

/// The key of an even number of nibbles.
pub(crate) fn to_key(nibbles: &[u8]) -> Vec<u8> {
    nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// How many nibbles both start with.
pub(crate) fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// The bytes of `path` inside a node: a flag nibble, a zero nibble if `path` is even, then `path`.
pub(crate) fn compact(path: &[u8], kind: Kind) -> Vec<u8> {
    let flag = match kind {
        Kind::Extension => 0,
        Kind::Leaf => 2,
    };
    let odd = path.len() % 2;
    let mut bytes = Vec::with_capacity(path.len() / 2 + 1);
    bytes.push(match path.first() {
        Some(first) if odd == 1 => (flag | 1) << 4 | first,
        _ => flag << 4,
    });
    bytes.extend(path[odd..].chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    bytes
}

/// Reads what [`compact`] wrote; `None` if the flag or the padding is none that it writes.
pub(crate) fn expand(bytes: &[u8]) -> Option<(Kind, Vec<u8>)> {
    let mut path = of_key(bytes);
    let flag = *path.first()?;
    let (kind, skip) = match (flag, path.get(1)?) {
        (0, 0) => (Kind::Extension, 2),
        (1, _) => (Kind::Extension, 1),
        (2, 0) => (Kind::Leaf, 2),
        (3, _) => (Kind::Leaf, 1),
        _ => return None,
    };
    path.drain(..skip);
    Some((kind, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_follows_the_table_of_flags() {
        for (path, kind, bytes) in [
            (&[][..], Kind::Leaf, &[0x20][..]),
            (&[1], Kind::Leaf, &[0x31]),
            (&[1, 2], Kind::Leaf, &[0x20, 0x12]),
            (&[15, 0, 1], Kind::Leaf, &[0x3f, 0x01]),
            (&[0], Kind::Extension, &[0x10]),
            (&[0, 1], Kind::Extension, &[0x00, 0x01]),
            (&[1, 2, 3], Kind::Extension, &[0x11, 0x23]),
        ] {
            assert_eq!(compact(path, kind), bytes);
            assert_eq!(expand(bytes), Some((kind, path.to_vec())));
        }
    }

    #[test]
    fn expand_refuses_unknown_flags_and_padding() {
        for bytes in [&[][..], &[0x40], &[0xff, 0x00], &[0x01], &[0x2a, 0x00]] {
            assert_eq!(expand(bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn keys_survive_the_way_through_nibbles() {
        assert_eq!(of_key(&[0x12, 0xf0]), [1, 2, 15, 0]);
        assert_eq!(to_key(&[1, 2, 15, 0]), [0x12, 0xf0]);
    }
}
