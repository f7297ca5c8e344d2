//! Changes to real reports, each one determined by its number.

use serde_json::Value;

/// Nothing that is fed is longer.
pub const SIZE_MAX: usize = 16 << 10;

/// Numbers that look random and are the same each time (`SplitMix64`).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..n`; 0 for nothing.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }

    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A part of something so long.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let (a, b) = (self.below(len + 1), self.below(len + 1));
        a.min(b)..a.max(b)
    }
}

/// What numbers, words and bytes are replaced by.
const WORDS: &[&[u8]] = &[
    b"0",
    b"-1",
    b"4294967295",
    b"4294967296",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"1e308",
    b"1e999",
    b"-0.0",
    b"NaN",
    b"99999999999999999999999999999999999999999999",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"\xc3",
    b"\xf0\x9f\x98",
    b"\xef\xbb\xbf",
    b"\0",
    b"\x1b]0;t\x07",
    b"\r\n",
    b"\r",
    b"\xe2\x80\xa8",
    b"&#0;",
    b"&#1114112;",
    b"&lt;",
    b"&x;",
    b"<![CDATA[",
    b"]]>",
    b"<!DOCTYPE x [<!ENTITY e 'e'>]>",
    b"<!--",
    b"../../../../etc/passwd",
    b"/repo/",
    b"file://",
    b"%2e%2e%2f%",
    b"::",
    b",",
    b"}",
    b"]",
    b">",
    b"\"",
];

/// A real report, changed once to four times; `others` give what is spliced in.
pub fn mutated(numbers: &mut Numbers, bytes: &[u8], others: &[&[u8]]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.truncate(SIZE_MAX / 2);
    // What is torn is refused at its first bytes; what is only odd is read to its end.
    match numbers.below(3) {
        0 => return odd(numbers, &bytes),
        1 => bytes = odd(numbers, &bytes),
        _ => {}
    }
    for _ in 0..=numbers.below(4) {
        change(numbers, &mut bytes, others);
        bytes.truncate(SIZE_MAX);
    }
    bytes
}

/// Still the same form: a value of the JSON, or of one of its lines, is another one; else a line or a number is.
fn odd(numbers: &mut Numbers, bytes: &[u8]) -> Vec<u8> {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        return other(numbers, value);
    }
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let at = numbers.below(lines.len());
    if let Ok(value) = serde_json::from_slice::<Value>(&lines[at]) {
        lines[at] = other(numbers, value);
        return lines.join(&b'\n');
    }
    let mut bytes = bytes.to_vec();
    if numbers.below(2) == 0 {
        line(numbers, &mut bytes);
    } else {
        number(numbers, &mut bytes);
    }
    bytes
}

/// The JSON with one of its values changed, taken away or doubled.
fn other(numbers: &mut Numbers, mut value: Value) -> Vec<u8> {
    let mut at = &mut value;
    while numbers.below(4) > 0 {
        let count = match &*at {
            Value::Array(items) => items.len(),
            Value::Object(items) => items.len(),
            _ => 0,
        };
        if count == 0 {
            break;
        }
        let index = numbers.below(count);
        at = match at {
            Value::Array(items) => &mut items[index],
            Value::Object(items) => items.values_mut().nth(index).unwrap(),
            _ => unreachable!("it has {count} values"),
        };
    }
    match at {
        Value::Array(items) if !items.is_empty() && numbers.below(2) == 0 => {
            let item = items[numbers.below(items.len())].clone();
            items.push(item);
        }
        Value::Object(items) if !items.is_empty() && numbers.below(2) == 0 => {
            let key = items.keys().nth(numbers.below(items.len())).unwrap().clone();
            items.remove(&key);
        }
        at => {
            let word = String::from_utf8_lossy(WORDS[numbers.below(WORDS.len())]).into_owned();
            *at = serde_json::from_str(&word).unwrap_or(Value::String(word));
        }
    }
    value.to_string().into_bytes()
}

fn change(numbers: &mut Numbers, bytes: &mut Vec<u8>, others: &[&[u8]]) {
    let len = bytes.len();
    let part = numbers.range(len);
    match numbers.below(11) {
        0 => flip(numbers, bytes),
        1 => bytes.truncate(numbers.below(len + 1)),
        2 => drop(bytes.drain(..numbers.below(len + 1))),
        3 => drop(bytes.drain(part)),
        4 => {
            let copy = bytes[part.clone()].to_vec();
            bytes.splice(part.start..part.start, copy);
        }
        5 => nest(numbers, bytes),
        6 => number(numbers, bytes),
        7 => {
            let word = *numbers.one_of(WORDS);
            bytes.splice(part.start..part.start, word.iter().copied());
        }
        8 => {
            let other = *numbers.one_of(others);
            let from = numbers.range(other.len());
            bytes.splice(part, other[from].iter().copied());
        }
        9 => line(numbers, bytes),
        _ => {
            let end = (part.start + 1 + numbers.below(8)).min(len);
            let word = *numbers.one_of(WORDS);
            bytes.splice(part.start.min(end)..end, word.iter().copied());
        }
    }
}

fn flip(numbers: &mut Numbers, bytes: &mut [u8]) {
    for _ in 0..=numbers.below(8) {
        let at = numbers.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << numbers.below(8);
        }
    }
}

/// Something opened many times over, closed or not.
fn nest(numbers: &mut Numbers, bytes: &mut Vec<u8>) {
    let all: [(&str, &str); 6] = [
        ("[", "]"),
        ("{\"a\":", "}"),
        ("<a>", "</a>"),
        ("(", ")"),
        ("{\"methods\":[", "]}"),
        ("<testsuite>", "</testsuite>"),
    ];
    let (open, close) = *numbers.one_of(&all);
    let depth = 1 << numbers.below(11);
    let part = numbers.range(bytes.len());
    if numbers.below(2) == 0 {
        bytes.splice(part.end..part.end, close.repeat(depth).into_bytes());
    }
    bytes.splice(part.start..part.start, open.repeat(depth).into_bytes());
}

/// A number that is there becomes another one.
fn number(numbers: &mut Numbers, bytes: &mut Vec<u8>) {
    let from = numbers.below(bytes.len());
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
    let end = bytes[start..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |at| start + at);
    let word = WORDS[numbers.below(14)];
    bytes.splice(start..end, word.iter().copied());
}

/// A line twice, or gone, or at another place.
fn line(numbers: &mut Numbers, bytes: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return;
    }
    let (from, to) = (numbers.below(lines.len()), numbers.below(lines.len()));
    match numbers.below(3) {
        0 => lines.insert(to, lines[from].clone()),
        1 => drop(lines.remove(from)),
        _ => lines.swap(from, to),
    }
    *bytes = lines.concat();
}
