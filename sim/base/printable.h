#pragma once
// Text from files (names, paths, messages that quote them) on its way to a terminal, table or CSV.

#include <cstddef>
#include <string>
#include <string_view>

namespace kpksim {

// `text` on one line, and nothing but visible characters: control characters (of ASCII, and
// U+0080 to U+009F), line separators, what turns the direction of writing, and bytes that are no
// UTF-8 become "\n", "\t", "\x1b", "\u{202e}". A terminal would obey the first ones: set its title,
// clear the screen, hide a line.
std::string printable(std::string_view text);

// `text` as a field of a CSV file (RFC 4180): printable, and quoted where it has to be.
std::string csv_field(std::string_view text);

// How many columns a printable text takes, a character being one.
std::size_t columns(std::string_view text);

// `text` with spaces in front of it, or behind it, up to `width` columns.
std::string pad_left(std::string_view text, std::size_t width);
std::string pad_right(std::string_view text, std::size_t width);

// The first `width` columns of it.
std::string_view first_columns(std::string_view text, std::size_t width);

}  // namespace kpksim
