#pragma once
// Sizes as users write them: "4096", "64K", "1G".

#include <cstdint>
#include <string>
#include <string_view>

namespace kpksim::workload {

// The largest size a workload may name: the 47-bit half of the address space (128T).
inline constexpr std::uint64_t kMaxSize = 1ull << 47;

// The number of bytes that `text` says: decimal digits and optionally K, M, G or T (powers of
// 1024). Anything else, or more than 64 bits, is an InputError that begins with `place`.
std::uint64_t parse_size(std::string_view text, std::string_view place);

}  // namespace kpksim::workload
