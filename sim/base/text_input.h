#pragma once
// Input files, plain or compressed (gzip or zstd, told by their first bytes, not their name).

#include <string>

namespace kpksim {

// The whole text. InputError names the file and, for compressed data, the byte: not readable,
// empty, compressed in another way, truncated or corrupt.
std::string read_text_file(const std::string& path);

}  // namespace kpksim
