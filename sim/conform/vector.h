#pragma once
// Conformance vectors: one JSON document a line, each one translation (or one range TLBI operand)
// with the outcome that Arm's executable model of the architecture gives.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/mmu/physical_memory.h"
#include "sim/mmu/registers.h"
#include "sim/poe/permission.h"

namespace kpksim::conform {

struct ExpectedFault {
  std::string kind;  // of mmu::kFaultNames
  unsigned level = 0;
  bool overlay = false, dirty = false;
  std::uint64_t esr = 0;
};
struct ExpectedAddress {
  PhysAddr pa;
  unsigned level = 0, page_bits = 0;
  bool global = false, contiguous = false;
};

using Words = std::vector<std::pair<PhysAddr, std::uint64_t>>;

// One translation: the machine, the access, and what must come of it.
struct Translation {
  mmu::Registers regs;
  Words memory;  // everything else reads as 0
  VirtAddr va;
  poe::Access access{};
  bool pan = false;
  std::variant<ExpectedAddress, ExpectedFault> expect;
  std::optional<std::pair<PhysAddr, std::uint64_t>> updated;  // descriptor that hardware changed
};

// One operand of a range TLBI and the bytes it names; nullopt: reserved, no effect.
struct RangeOperand {
  struct Range {
    unsigned granule_kb = 0;
    std::uint64_t start = 0, end = 0;
  };
  std::uint64_t xt = 0;
  std::uint16_t asid = 0;
  unsigned ttl = 0;
  std::optional<Range> expect;
};

struct Vector {
  std::string id;
  std::variant<Translation, RangeOperand> what;
};

// Parses one line. InputError: JSON pointer and what was expected (no file, no line: the caller's).
Vector parse_vector(std::string_view line);

// The registers, memory and access of a document without `expect` (kpksim translate --input).
// InputError as above.
Translation parse_translation(const nlohmann::json& document);

// "R", "W", "RW" or "X". InputError otherwise.
poe::AccessKind parse_kind(const std::string& text, const std::string& place);
std::string_view kind_name(poe::AccessKind kind);
// "0x..." or decimal. InputError otherwise.
std::uint64_t parse_number(const std::string& text, const std::string& place);
// The register named as in the vectors (tcr, ttbr0, por_el1, ...), or nullptr.
std::uint64_t* register_by_name(mmu::Registers& regs, std::string_view name);
std::vector<std::string> register_names();

}  // namespace kpksim::conform
