//! Sorting by a number: one sort in the whole module, where each call of the standard library's brings its own of
//! 3 to 5 KB.

/// Sorts by a number, what has the same number as it stood.
pub fn by_number<T>(items: &mut Vec<T>, number_of: impl Fn(&T) -> u64) {
    let mut places: Vec<(u64, usize)> = items.iter().map(number_of).zip(0..).collect();
    if places.is_sorted() {
        return;
    }
    places.sort_unstable();
    let mut unsorted: Vec<Option<T>> = items.drain(..).map(Some).collect();
    items.extend(places.into_iter().filter_map(|(_, place)| unsorted.get_mut(place)?.take()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stand_in_the_order_of_their_numbers_and_equals_as_they_stood() {
        let mut items = vec![(3, 'a'), (1, 'b'), (3, 'c'), (0, 'd'), (1, 'e')];
        by_number(&mut items, |(number, _)| *number);
        assert_eq!(items, [(0, 'd'), (1, 'b'), (1, 'e'), (3, 'a'), (3, 'c')]);
    }
}
