#include "sim/fuzz/generator.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/fuzz/draft.h"

namespace kpksim::fuzz {
namespace {

// Numbers of bytes as people write them.
void write_sizes(Json& op) {
  for (const char* key : {"size", "offset", "new_size", "stride", "hugetlb"}) {
    if (!op.contains(key)) continue;
    const auto bytes = op[key].get<std::uint64_t>();
    if (bytes != 0 && bytes % (1 << 20) == 0) {
      op[key] = fmt::format("{}M", bytes >> 20);
    } else if (bytes != 0 && bytes % (1 << 10) == 0) {
      op[key] = fmt::format("{}K", bytes >> 10);
    }
  }
}

}  // namespace

Program random_program(Dice& dice, const Bounds& bounds) { return Draft(dice, bounds).make(); }

bool is_benign(const Program& program, bool guard_pages) {
  Reference reference({program.cores, guard_pages, program.interleave});
  return std::all_of(program.ops.begin(), program.ops.end(),
                     [&](const Json& op) { return reference.take(op); });
}

std::string workload_text(const Program& program, const std::string& name,
                          const std::string& description) {
  std::string text = fmt::format("{{\n  \"name\": {},\n", Json(name).dump());
  if (!description.empty()) {
    text += fmt::format("  \"description\": {},\n", Json(description).dump());
  }
  if (program.interleave) text += "  \"interleave\": true,\n";
  text += "  \"phases\": [{\"name\": \"all\", \"ops\": [\n";
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    Json op = program.ops[i];
    write_sizes(op);
    text += fmt::format("    {}{}\n", op.dump(), i + 1 < program.ops.size() ? "," : "");
  }
  return text + "  ]}]\n}\n";
}

}  // namespace kpksim::fuzz
