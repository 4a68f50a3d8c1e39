//! Just enough of Rust's grammar to see what a file names and how much code it holds.

/// The source with every comment and every literal text blanked; lines stay where they are.
pub fn without_comments_and_texts(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut kept = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_prose(&chars, at);
        if end == at {
            kept.push(chars[at]);
            at += 1;
        } else {
            kept.extend(chars[at..end].iter().map(|char| if *char == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    kept
}

/// Behind the comment or text that begins at `at`, or `at` itself if none does.
fn end_of_prose(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
    let in_a_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (chars[at], next(1)) {
        ('/', '/') => end_at(chars, at, |char| char == '\n'),
        ('/', '*') => end_of_block_comment(chars, at),
        ('"', _) => end_of_text(chars, at + 1),
        ('r', '"' | '#') if !in_a_word => end_of_raw_text(chars, at),
        ('\'', '\\') => end_at(chars, at + 3, |char| char == '\'') + 1,
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
}

fn end_at(chars: &[char], from: usize, is_end: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|at| is_end(chars[*at])).unwrap_or(chars.len())
}

fn end_of_block_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') if depth == 1 => return at + 2,
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    chars.len()
}

fn end_of_text(chars: &[char], from: usize) -> usize {
    let mut at = from;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

// `r#name` is a word, not a text.
fn end_of_raw_text(chars: &[char], from: usize) -> usize {
    let quote = end_at(chars, from + 1, |char| char != '#');
    if chars.get(quote) != Some(&'"') {
        return from;
    }
    let hashes = quote - from - 1;
    let closes = |at: usize| {
        chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|char| **char == '#').count() == hashes
    };
    (quote + 1..chars.len()).find(|at| closes(*at)).map_or(chars.len(), |at| at + 1 + hashes)
}

/// Every path of the code, `a::b::c` and each leaf of `a::{b, c::d}`, as its names.
pub fn paths_of(code: &str) -> Vec<Vec<String>> {
    let words = words_of(code);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < words.len() {
        at = if is_name(&words[at]) { read_path(&words, at, &[], &mut paths) } else { at + 1 };
    }
    paths
}

fn is_name(word: &str) -> bool {
    word.starts_with(|char: char| char.is_alphabetic() || char == '_')
}

/// Names, `::`, and every other character by itself.
fn words_of(code: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(char) = chars.next() {
        let mut word = char.to_string();
        if char.is_alphanumeric() || char == '_' {
            while let Some(more) = chars.next_if(|more| more.is_alphanumeric() || *more == '_') {
                word.push(more);
            }
        } else if char == ':' && chars.next_if_eq(&':').is_some() {
            word.push(':');
        } else if char.is_whitespace() {
            continue;
        }
        words.push(word);
    }
    words
}

// Reads the path that begins at `at`, behind `prefix`; the place behind it.
fn read_path(words: &[String], at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let mut path = prefix.to_vec();
    let mut at = at;
    loop {
        if word(at) == "{" {
            at += 1;
            while !["}", ""].contains(&word(at)) {
                at = if is_name(word(at)) { read_path(words, at, &path, paths) } else { at + 1 };
            }
            return at + 1;
        }
        if !is_name(word(at)) {
            break;
        }
        path.push(words[at].clone());
        at += 1;
        if word(at) != "::" {
            break;
        }
        at += 1;
    }
    if path.len() > 1 {
        paths.push(path);
    }
    at
}

/// Lines that hold code: no comments, no blank lines, no test modules.
pub fn code_lines(source: &str) -> usize {
    let code = without_comments_and_texts(source);
    let mut count = 0;
    let mut depth_of_tests = None;
    let mut test_begins = false;
    let mut depth = 0_i32;
    for (line, original) in code.lines().zip(source.lines()) {
        let holds_code = !line.trim().is_empty() || original.trim_start().starts_with('"');
        test_begins |= line.trim() == "#[cfg(test)]";
        if test_begins && line.contains("mod ") && depth_of_tests.is_none() {
            depth_of_tests = line.contains('{').then_some(depth);
            test_begins = false;
        } else if holds_code && depth_of_tests.is_none() && !test_begins {
            count += 1;
        }
        depth += line.matches('{').count() as i32 - line.matches('}').count() as i32;
        if depth_of_tests.is_some_and(|begun| depth <= begun) {
            depth_of_tests = None;
        }
    }
    count
}
