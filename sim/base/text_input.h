#pragma once
// Input files, plain or compressed (gzip or zstd, told by their first bytes, not their name).

#include <string>

namespace kpksim {

// The whole text. InputError names the file: unreadable, or truncated or corrupt compression.
std::string read_text_file(const std::string& path);

}  // namespace kpksim
