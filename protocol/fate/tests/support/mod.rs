//! Reading vector files and playing their steps over a world of simple maps.

#![allow(dead_code)] // every test program uses its part

pub mod play;
pub mod world;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

/// The folder of vectors of this package.
pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The vector files of a folder, in order.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(vectors().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

pub fn read(path: &Path) -> Json {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Bytes in hexadecimal digits.
pub fn bytes(json: &Json) -> Vec<u8> {
    hex::decode(json.as_str().unwrap()).unwrap()
}

pub fn id(json: &Json) -> [u8; 32] {
    bytes(json).try_into().unwrap()
}

/// A number, written as such or as a string.
pub fn number(json: &Json) -> u128 {
    match json {
        Json::String(text) => text.parse().unwrap(),
        number => number.to_string().parse().unwrap(),
    }
}
