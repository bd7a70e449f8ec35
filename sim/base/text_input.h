#pragma once
// Input files, plain or compressed (gzip or zstd, told by their first bytes, not their name).

#include <cstddef>
#include <string>

namespace kpksim {

// How much is read at most, before and after decompression: a device or a pipe may never end, and
// a small file unpack to more than any memory. JSON takes many times its size once it is parsed.
inline constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;
inline constexpr std::size_t kMaxJsonBytes = std::size_t{256} << 20;

// The whole text. InputError names the file and, for compressed data, the byte: not readable,
// empty, larger than `limit`, compressed in another way, truncated or corrupt.
std::string read_text_file(const std::string& path, std::size_t limit = kMaxTextBytes);

}  // namespace kpksim
