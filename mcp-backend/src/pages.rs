//! Long lists, a page at a time.

use rmcp::ErrorData;
use rmcp::model::PaginatedRequestParams;

/// The items that were asked for, and where the next ones begin.
pub(crate) fn page<T>(
    items: Vec<T>,
    request: Option<&PaginatedRequestParams>,
) -> Result<(Vec<T>, Option<String>), ErrorData> {
    page_of(MOST, items, request.and_then(|request| request.cursor.as_deref()))
}

fn page_of<T>(
    most: usize,
    items: Vec<T>,
    cursor: Option<&str>,
) -> Result<(Vec<T>, Option<String>), ErrorData> {
    let begin = match cursor {
        None => 0,
        // Only what we gave out: other numbers may be in the middle of a page.
        Some(text) => text
            .strip_prefix(MARK)
            .and_then(|number| number.parse().ok())
            .filter(|begin| *begin > 0 && begin % most == 0 && *begin < items.len())
            .ok_or_else(|| ErrorData::invalid_params("cursor: not one of this server's", None))?,
    };
    let end = begin.saturating_add(most);
    let next = (end < items.len()).then(|| format!("{MARK}{end}"));
    Ok((items.into_iter().skip(begin).take(most).collect(), next))
}

const MARK: &str = "from-";
const MOST: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_on_one_page() {
        for length in 0..8 {
            let items: Vec<usize> = (0..length).collect();
            let (mut read, mut cursor) = (Vec::new(), None::<String>);
            loop {
                let (page, next) = page_of(3, items.clone(), cursor.as_deref()).unwrap();
                read.extend(page);
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(read, items);
        }
    }

    #[test]
    fn refuses_a_cursor_that_it_did_not_give() {
        for cursor in ["", "3", "from-0", "from-1", "from-6", "from--3", "from-3x"] {
            assert!(page_of(3, vec![0; 6], Some(cursor)).is_err(), "{cursor}");
        }
        assert!(page_of(3, vec![0; 6], Some("from-3")).is_ok());
    }
}
