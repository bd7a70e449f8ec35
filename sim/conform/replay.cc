#include "sim/conform/replay.h"

#include <fmt/core.h>

#include "sim/base/error.h"
#include "sim/base/text_input.h"
#include "sim/conform/explain.h"
#include "sim/mmu/mmu.h"

namespace kpksim::conform {
namespace {

constexpr mmu::MmuGeometry kGeometry{{1, 4}, {1, 4}, {4, 2}, 8};

std::string text_of(const ExpectedAddress& e) {
  return fmt::format("PA {:#x}, level {}, {}, page_bits {}{}", e.pa.value, e.level,
                     e.global ? "global" : "not global", e.page_bits,
                     e.contiguous ? ", contiguous" : "");
}

std::string text_of(const ExpectedFault& e) {
  return fmt::format("{} fault, level {}{}{}; {}", e.kind, e.level, e.overlay ? ", overlay" : "",
                     e.dirty ? ", dirty" : "", describe_esr(e.esr));
}

// The outcome in the words of the expectation.
std::string outcome(const Translation& t, const mmu::Mmu& mmu, const mmu::Translation& result) {
  if (result.fault) {
    const mmu::Fault& f = result.fault;
    return text_of(ExpectedFault{std::string(mmu::kFaultNames[static_cast<int>(f.kind)]), f.level,
                                 f.overlay, f.dirty, mmu::esr_of(f, t.access)});
  }
  // Without stage 1 the vectors' words are these.
  if (!mmu.enabled()) return text_of(ExpectedAddress{result.pa, 0, kPageShift, true, false});
  const mmu::Leaf* leaf = mmu.cached(t.va, t.access.kind == poe::AccessKind::kExecute);
  if (leaf == nullptr) return fmt::format("PA {:#x}, but no TLB entry", result.pa.value);
  const mmu::Granule& granule = mmu::kGranules[(leaf->granule_shift - 12u) / 2];
  return text_of(ExpectedAddress{result.pa, leaf->level, granule.level_shift(leaf->level),
                                 leaf->global, leaf->descriptor.contiguous()});
}

mmu::PhysicalMemory memory_of(const Translation& t) {
  mmu::PhysicalMemory memory;
  for (const auto& [pa, word] : t.memory) memory.write64(pa, word);
  return memory;
}

// What the memory should not hold; empty if it holds the vector's words and the update alone.
std::string memory_difference(const Translation& t, const mmu::PhysicalMemory& memory) {
  std::string text;
  for (const auto& [pa, before] : t.memory) {
    const std::uint64_t expected = t.updated && t.updated->first == pa ? t.updated->second : before;
    if (memory.read64(pa) != expected) {
      text += fmt::format("\n  memory   [{:#x}] expected {:#018x}, is {:#018x}", pa.value, expected,
                          memory.read64(pa));
    }
  }
  return text;
}

// The hot path may leave an access to translate(), but must not decide it otherwise.
std::string fast_path(const Translation& t, mmu::Mmu& mmu) {
  if (t.access.kind == poe::AccessKind::kExecute) return {};
  PhysAddr pa;
  if (!mmu.try_fast(t.va, mmu::Need::of(t.access, t.pan), pa)) return {};
  const auto* expected = std::get_if<ExpectedAddress>(&t.expect);
  if (expected != nullptr && pa == expected->pa) return {};
  return fmt::format("\n  hot path found PA {:#x}", pa.value);
}

std::string disagreement_of(const Translation& t) {
  mmu::PhysicalMemory memory = memory_of(t);
  mmu::Mmu mmu(kGeometry, memory);
  mmu.set_registers(t.regs);
  const std::string expected = std::visit([](const auto& e) { return text_of(e); }, t.expect);
  std::string text;
  for (const char* pass : {"cold walk", "warm TLB"}) {
    const mmu::Translation result = mmu.translate(t.va, t.access, t.pan);
    const std::string actual = outcome(t, mmu, result);
    const std::string memory_text = memory_difference(t, memory);
    if (actual != expected || !memory_text.empty()) {
      text += fmt::format("\n  {}: {}{}", pass, actual, memory_text);
    }
    if (result.fault && result.fault.far != t.va) text += "\n  FAR_EL1 is not the address";
  }
  text += fast_path(t, mmu);
  if (text.empty()) return {};
  const mmu::PhysicalMemory before = memory_of(t);
  return fmt::format("\n  expected: {}{}\n{}", expected, text,
                     explain({t.regs, before, t.va, t.access, t.pan}));
}

std::string disagreement_of(const RangeOperand& r) {
  const std::optional<mmu::TlbiRange> range = mmu::decode_range(r.xt);
  const auto print = [](bool valid, unsigned kb, std::uint64_t start, std::uint64_t end) {
    return valid ? fmt::format("{} KB granule, [{:#x}, {:#x})", kb, start, end)
                 : std::string("reserved, no effect");
  };
  const std::string expected =
      r.expect ? print(true, r.expect->granule_kb, r.expect->start, r.expect->end)
               : print(false, 0, 0, 0);
  const std::string actual =
      range ? print(true, 1u << (range->granule_shift - 10), range->start, range->end)
            : print(false, 0, 0, 0);
  const mmu::TlbiEffect effect = mmu::decode(mmu::TlbiKind::kRvae1, r.xt);
  std::string text;
  if (actual != expected) text += fmt::format("\n  range:    {}", actual);
  if (effect.asid.value != r.asid) text += fmt::format("\n  ASID:     {:#x}", effect.asid.value);
  if (mmu::tlbi_range::kTtl.get(r.xt) != r.ttl) text += "\n  TTL differs";
  if (text.empty()) return {};
  return fmt::format("\n  xt {:#x}\n  expected: {}, ASID {:#x}, TTL {}{}\n", r.xt, expected, r.asid,
                     r.ttl, text);
}

}  // namespace

std::string disagreement(const Vector& vector) {
  return std::visit([](const auto& what) { return disagreement_of(what); }, vector.what);
}

Tally replay_file(const std::string& path, const Listener& listener) {
  const std::string text = read_text_file(path);
  Tally tally;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      const Vector vector = parse_vector(line);
      const std::string difference = disagreement(vector);
      ++(difference.empty() ? tally.agreed : tally.disagreed);
      if (!difference.empty()) {
        listener.disagreed(fmt::format("{}:{}: vector {}{}", path, number, vector.id, difference));
      }
    } catch (const InputError& e) {
      ++tally.malformed;
      listener.malformed(fmt::format("{}:{}: {}", path, number, e.what()));
    }
  }
  if (tally.agreed + tally.disagreed + tally.malformed == 0) {
    throw InputError(path + ": no vectors in it");
  }
  return tally;
}

}  // namespace kpksim::conform
