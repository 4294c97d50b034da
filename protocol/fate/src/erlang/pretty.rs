//! Printing a term over several lines, as the reference's format `~P` does.

use crate::erlang::term::{Term, is_printable};

/// The width of a line.
const LINE: isize = 80;
/// How many characters of a string stand for one level of depth.
const CHARACTERS: usize = 4;

/// Prints a term to `depth`, beginning at `column` (counted from 1) of a line.
pub(crate) fn pretty(term: &Term, depth: usize, column: usize) -> Vec<u8> {
    let item = measured(term, depth);
    let column = isize::try_from(column).unwrap_or(LINE).max(1);
    let mut out = Vec::new();
    if item.length < LINE - column {
        item.write(&mut out);
        return out;
    }
    for tag_indent in [-1, 4, 1] {
        out.clear();
        let mut layout = Layout { most: item.length, tag_indent, out: &mut out, good: true };
        layout.item(&item, column, column - 1, 0, 0);
        if layout.good || tag_indent == 1 {
            break;
        }
    }
    out
}

struct Item {
    shape: Shape,
    length: isize,
}

enum Shape {
    Text(Vec<u8>),
    /// Bytes as numbers, which may be broken between two of them.
    Binary(Vec<u8>),
    List(Vec<Item>, Dots),
    Tuple(Vec<Item>, Dots),
    Tagged(Vec<Item>, Dots),
    Map(Vec<Item>, Dots),
    Pair(Box<(Item, Item)>),
}

/// Is something left out behind the last element?
type Dots = bool;

fn text(bytes: Vec<u8>) -> Item {
    Item { length: bytes.len() as isize, shape: Shape::Text(bytes) }
}

/// What is going to be printed, and how long it is on one line.
fn measured(term: &Term, depth: usize) -> Item {
    if depth == 0 {
        return text(b"...".to_vec());
    }
    match term {
        Term::Integer(number) => text(number.to_string().into_bytes()),
        Term::Atom(atom) => text(atom.as_bytes().to_vec()),
        Term::Binary(bytes) => measured_binary(bytes, depth),
        Term::List { items, .. } if items.is_empty() => text(b"[]".to_vec()),
        Term::List { text: Some(characters), .. } if depth > 1 => text(quoted(characters)),
        Term::List { items, .. } => {
            let (items, dots) = measured_items(items, depth);
            sequence(items, dots, 2, Shape::List)
        }
        Term::Tuple(items) if items.is_empty() => text(b"{}".to_vec()),
        Term::Tuple(_) if depth == 1 => text(b"{...}".to_vec()),
        Term::Tuple(terms) => {
            let tagged = matches!(terms[0], Term::Atom(_)) && terms.len() > 1;
            let (items, dots) = measured_items(terms, depth);
            sequence(items, dots, 2, if tagged { Shape::Tagged } else { Shape::Tuple })
        }
        Term::Map(entries) if entries.is_empty() => text(b"#{}".to_vec()),
        Term::Map(_) if depth == 1 => text(b"#{...}".to_vec()),
        Term::Map(entries) => {
            let pair = |(key, value): &(Term, Term)| {
                let (key, value) = (measured(key, depth - 1), measured(value, depth - 1));
                Item { length: key.length + 4 + value.length, shape: Shape::Pair(Box::new((key, value))) }
            };
            let shown = depth - 1;
            let items = entries.iter().take(shown).map(pair).collect();
            sequence(items, entries.len() > shown, 3, Shape::Map)
        }
        Term::Beyond => text(b"...".to_vec()),
    }
}

fn measured_items(terms: &[Term], depth: usize) -> (Vec<Item>, Dots) {
    let shown = depth - 1;
    let items =
        terms.iter().take(shown).enumerate().map(|(index, term)| measured(term, depth - 1 - index)).collect();
    (items, terms.len() > shown)
}

fn sequence(items: Vec<Item>, dots: Dots, brackets: isize, shape: fn(Vec<Item>, Dots) -> Shape) -> Item {
    let count = items.len() as isize + isize::from(dots);
    let inside: isize = items.iter().map(|item| item.length).sum::<isize>() + if dots { 3 } else { 0 };
    Item { length: brackets + inside + (count - 1).max(0), shape: shape(items, dots) }
}

fn measured_binary(bytes: &[u8], depth: usize) -> Item {
    if bytes.is_empty() {
        return text(b"<<>>".to_vec());
    }
    if depth == 1 {
        return text(b"<<...>>".to_vec());
    }
    let most = bytes.len().min(CHARACTERS * (depth - 1));
    let readable = bytes[..most].iter().take_while(|byte| is_printable(**byte)).count();
    if readable == bytes.len() {
        return text([b"<<", &quoted(bytes)[..], b">>"].concat());
    }
    if readable == most || readable >= depth - 1 {
        return text([b"<<", &quoted(&bytes[..readable])[..], b"...>>"].concat());
    }
    let mut out = Vec::new();
    super::term::plain_binary(bytes, depth, &mut out);
    Item { length: out.len() as isize, shape: Shape::Binary(out) }
}

fn quoted(characters: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for character in characters {
        let escaped = match character {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            0x08 => b'b',
            0x0c => b'f',
            0x1b => b'e',
            plain => {
                out.push(*plain);
                continue;
            }
        };
        out.extend([b'\\', escaped]);
    }
    out.push(b'"');
    out
}

impl Item {
    fn is_text(&self) -> bool {
        match &self.shape {
            Shape::Text(_) => true,
            Shape::Pair(pair) => pair.0.is_text() && pair.1.is_text(),
            _ => false,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut all = |open: &[u8], items: &[Item], dots: Dots, last: &[u8], close: u8| {
            out.extend(open);
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                item.write(out);
            }
            if dots {
                out.extend(if items.is_empty() { b"" } else { last });
                out.extend(b"...");
            }
            out.push(close);
        };
        match &self.shape {
            Shape::List(items, dots) => all(b"[", items, *dots, b"|", b']'),
            Shape::Tuple(items, dots) | Shape::Tagged(items, dots) => all(b"{", items, *dots, b",", b'}'),
            Shape::Map(items, dots) => all(b"#{", items, *dots, b",", b'}'),
            Shape::Text(bytes) | Shape::Binary(bytes) => out.extend(bytes),
            Shape::Pair(pair) => {
                pair.0.write(out);
                out.extend(b" => ");
                pair.1.write(out);
            }
        }
    }
}

/// `column`: where the next character goes; `indent`: the spaces of a new line; `closers`: the brackets that will
/// follow; `width`: what stands on this line already.
struct Layout<'a> {
    most: isize,
    /// The indentation behind a tag, or -1 for its length.
    tag_indent: isize,
    out: &'a mut Vec<u8>,
    good: bool,
}

impl Layout<'_> {
    fn fits(&self, length: isize, column: isize, closers: isize, width: isize) -> bool {
        length < LINE - column - closers && length + width + closers <= self.most
    }

    fn new_line(&mut self, indent: isize) {
        self.out.push(b'\n');
        self.out.extend(std::iter::repeat_n(b' ', usize::try_from(indent).unwrap_or(0)));
    }

    // The recursion is as deep as the printed term: at most the depth asked for.
    fn item(&mut self, item: &Item, column: isize, indent: isize, closers: isize, width: isize) {
        if self.fits(item.length, column, closers, width) {
            return item.write(self.out);
        }
        match &item.shape {
            Shape::List(items, dots) => {
                self.out.push(b'[');
                self.items(items, *dots, column + 1, indent + 1, closers, (b'|', width + 1));
                self.out.push(b']');
            }
            Shape::Tuple(items, dots) => {
                self.out.push(b'{');
                self.items(items, *dots, column + 1, indent + 1, closers, (b',', width + 1));
                self.out.push(b'}');
            }
            Shape::Tagged(items, dots) => {
                self.out.push(b'{');
                self.tagged(items, *dots, column, indent, closers, width + 1);
                self.out.push(b'}');
            }
            Shape::Map(pairs, dots) => {
                self.out.extend(b"#{");
                self.pairs(pairs, *dots, column + 2, indent + 2, closers, width + 1);
                self.out.push(b'}');
            }
            Shape::Binary(bytes) => self.binary(bytes, column + 2, indent + 2, closers, width),
            Shape::Text(bytes) => self.out.extend(bytes),
            Shape::Pair(_) => item.write(self.out),
        }
    }

    fn tagged(
        &mut self,
        items: &[Item],
        dots: Dots,
        column: isize,
        indent: isize,
        closers: isize,
        width: isize,
    ) {
        let Some((tag, rest)) = items.split_first() else { return self.out.extend(b"...") };
        tag.write(self.out);
        let behind = tag.length + 2;
        if self.tag_indent > 0 && behind > self.tag_indent {
            let next = column + self.tag_indent;
            self.good &= self.most + next <= LINE || next <= LINE / 2;
            let place = (column + behind, width + tag.length);
            self.tail(rest, dots, next, place, indent + self.tag_indent, closers, b',');
        } else {
            let next = column + behind;
            self.good &= self.most + next < LINE || next < LINE / 2;
            self.out.push(b',');
            self.items(rest, dots, next, indent + behind, closers, (b',', width + tag.length + 1));
        }
    }

    fn items(
        &mut self,
        items: &[Item],
        dots: Dots,
        column: isize,
        indent: isize,
        closers: isize,
        (last, width): (u8, isize),
    ) {
        let Some((first, rest)) = items.split_first() else { return self.out.extend(b"...") };
        let below = if rest.is_empty() { closers + 1 } else { 0 };
        let taken = self.element(first, column, indent, below, width);
        self.tail(rest, dots, column, (column + taken, width + taken), indent, closers, last);
    }

    #[allow(clippy::too_many_arguments)] // the state of a line
    fn tail(
        &mut self,
        items: &[Item],
        dots: Dots,
        start: isize,
        (mut column, mut width): (isize, isize),
        indent: isize,
        closers: isize,
        last: u8,
    ) {
        for (index, item) in items.iter().enumerate() {
            let below = if index + 1 == items.len() { closers + 1 } else { 0 };
            self.out.push(b',');
            if item.is_text() && self.fits(item.length + 1, column, below.max(1), width) {
                item.write(self.out);
                (column, width) = (column + item.length + 1, width + item.length + 1);
            } else {
                self.new_line(indent);
                let taken = self.element(item, start, indent, below, 0);
                (column, width) = (start + taken, taken);
            }
        }
        if dots {
            self.out.push(last);
            self.out.extend(b"...");
        }
    }

    /// Prints one element and gives the width it takes; a whole line for what has to be followed by a new one.
    fn element(&mut self, item: &Item, column: isize, indent: isize, closers: isize, width: isize) -> isize {
        let stays = item.is_text() && self.fits(item.length, column, closers, width);
        self.item(item, column, indent, closers, width);
        if stays { item.length } else { LINE }
    }

    fn pairs(
        &mut self,
        pairs: &[Item],
        dots: Dots,
        start: isize,
        indent: isize,
        closers: isize,
        width: isize,
    ) {
        let (mut column, mut width) = (start, width);
        for (index, pair) in pairs.iter().enumerate() {
            let below = if index + 1 == pairs.len() { closers + 1 } else { 0 };
            if index > 0 {
                self.out.push(b',');
                if pair.is_text() && self.fits(pair.length + 1, column, below.max(1), width) {
                    pair.write(self.out);
                    (column, width) = (column + pair.length + 1, width + pair.length + 1);
                    continue;
                }
                self.new_line(indent);
                width = 0;
            }
            let taken = self.pair(pair, start, indent, below, width);
            (column, width) = (start + taken, taken);
        }
        if dots {
            self.out.extend(b",...");
        }
    }

    fn pair(&mut self, item: &Item, column: isize, indent: isize, closers: isize, width: isize) -> isize {
        let Shape::Pair(pair) = &item.shape else { return LINE };
        if self.fits(item.length, column, closers, width) {
            item.write(self.out);
            return if item.is_text() { item.length } else { LINE };
        }
        let deeper = if self.tag_indent > 0 { self.tag_indent } else { 4 };
        self.item(&pair.0, column, indent, closers, width);
        self.out.extend(b" =>");
        self.new_line(indent + deeper);
        self.item(&pair.1, column + deeper, indent + deeper, closers, 0);
        LINE
    }

    fn binary(&mut self, bytes: &[u8], column: isize, indent: isize, closers: isize, width: isize) {
        let room = ((LINE - column).min(self.most - 4 - width) - closers).max(8);
        let body = &bytes[2..bytes.len() - 2];
        let mut left = room;
        self.out.extend(b"<<");
        let chunks = body.split_inclusive(|byte| *byte == b',');
        for chunk in chunks {
            let size = chunk.len() as isize;
            if size > left {
                self.new_line(indent);
                left = room;
            }
            left -= size;
            self.out.extend(chunk);
        }
        self.out.extend(b">>");
    }
}
