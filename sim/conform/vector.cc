#include "sim/conform/vector.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/mmu/fault.h"
#include "sim/mmu/regime.h"

namespace kpksim::conform {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<std::string_view, std::uint64_t mmu::Registers::*>, 10> kRegisters =
    {{{"tcr", &mmu::Registers::tcr},
      {"tcr2", &mmu::Registers::tcr2},
      {"sctlr", &mmu::Registers::sctlr},
      {"ttbr0", &mmu::Registers::ttbr0},
      {"ttbr1", &mmu::Registers::ttbr1},
      {"pir", &mmu::Registers::pir},
      {"pire0", &mmu::Registers::pire0},
      {"por_el1", &mmu::Registers::por_el1},
      {"por_el0", &mmu::Registers::por_el0},
      {"mair", &mmu::Registers::mair}}};
constexpr std::array<std::string_view, 4> kKinds = {"R", "W", "RW", "X"};  // by AccessKind

// An object of the document, with its JSON pointer; every key must be known and every needed key
// there.
class Object {
 public:
  Object(const json& value, std::string pointer, std::vector<std::string> known)
      : value_(value), pointer_(std::move(pointer)) {
    if (!value.is_object()) fail("", "expected an object");
    for (const auto& [key, unused] : value.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        fail(key, "unknown name" + suggest(key, known));
      }
    }
  }

  bool has(const char* key) const { return value_.contains(key); }
  std::string pointer(const std::string& key) const { return pointer_ + "/" + key; }
  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    const std::string place = key.empty() ? pointer_ : pointer(key);
    throw InputError((place.empty() ? "/" : place) + ": " + what);
  }
  const json& at(const char* key) const {
    if (!has(key)) fail(key, "missing");
    return value_[key];
  }
  std::uint64_t number(const char* key) const { return number_of(at(key), pointer(key)); }
  std::uint64_t number(const char* key, std::uint64_t limit) const {
    const std::uint64_t n = number(key);
    if (n > limit) fail(key, fmt::format("{} is too large; at most {}", n, limit));
    return n;
  }
  bool flag(const char* key) const {
    const json& v = at(key);
    if (!v.is_boolean()) fail(key, "expected true or false");
    return v.get<bool>();
  }
  std::string text(const char* key) const {
    const json& v = at(key);
    if (!v.is_string()) fail(key, "expected a string");
    return v.get<std::string>();
  }
  static std::uint64_t number_of(const json& v, const std::string& place) {
    if (v.is_number_unsigned()) return v.get<std::uint64_t>();
    if (v.is_string()) return parse_number(v.get<std::string>(), place);
    throw InputError(place + ": expected a number or a string like \"0x1f\"");
  }

 private:
  const json& value_;
  std::string pointer_;
};

PhysAddr word_address(std::uint64_t pa, const std::string& place) {
  if (pa >> mmu::kPaMax != 0 || pa % 8 != 0) {
    throw InputError(
        fmt::format("{}: {:#x} is not the address of a descriptor; expected a multiple of 8 below "
                    "2^48",
                    place, pa));
  }
  return PhysAddr(pa);
}

mmu::Registers registers_of(const json& value) {
  mmu::Registers regs;
  const Object object(value, "/regs", register_names());
  for (const auto& [name, member] : kRegisters) {
    const std::string key(name);
    if (name == "mair" && !object.has("mair")) continue;
    regs.*member = object.number(key.c_str());
  }
  const auto errors = mmu::illegal_fields(regs);
  if (!errors.empty()) object.fail("", fmt::format("{}", fmt::join(errors, "; ")));
  return regs;
}

Translation inputs_of(const Object& root) {
  Translation t;
  t.regs = registers_of(root.at("regs"));
  const json& memory = root.at("mem");
  if (!memory.is_object()) root.fail("mem", "expected an object: address to descriptor");
  for (const auto& [address, descriptor] : memory.items()) {
    const std::string place = "/mem/" + address;
    t.memory.emplace_back(word_address(parse_number(address, place), place),
                          Object::number_of(descriptor, place));
  }
  const Object access(root.at("access"), "/access", {"va", "kind", "el", "unpriv", "pan"});
  t.va = VirtAddr(access.number("va"));
  t.access.kind = parse_kind(access.text("kind"), "/access/kind");
  t.access.el = static_cast<std::uint8_t>(access.number("el", 1));
  t.access.unprivileged = access.flag("unpriv");
  t.pan = access.flag("pan");
  return t;
}

Translation translation_of(const json& document) {
  const Object root(document, "", {"id", "regs", "mem", "access", "expect"});
  Translation t = inputs_of(root);
  const Object expect(root.at("expect"), "/expect",
                      {"pa", "level", "global", "page_bits", "contiguous", "updated", "fault",
                       "overlay", "dirty", "esr"});
  const auto level = static_cast<unsigned>(expect.number("level", mmu::kLastLevel));
  if (expect.has("fault")) {
    const std::string kind = expect.text("fault");
    std::string dashed = kind;
    std::replace(dashed.begin(), dashed.end(), '_', '-');
    const auto names =
        std::vector<std::string>(std::begin(mmu::kFaultNames) + 1, std::end(mmu::kFaultNames));
    if (std::find(names.begin(), names.end(), dashed) == names.end()) {
      expect.fail("fault", fmt::format("'{}' is not a fault{}", kind, suggest(dashed, names)));
    }
    t.expect = ExpectedFault{dashed, level, expect.flag("overlay"), expect.flag("dirty"),
                             expect.number("esr")};
    return t;
  }
  t.expect = ExpectedAddress{PhysAddr(expect.number("pa")), level,
                             static_cast<unsigned>(expect.number("page_bits", mmu::kPaMax)),
                             expect.flag("global"), expect.flag("contiguous")};
  if (expect.has("updated")) {
    const json& pair = expect.at("updated");
    if (!pair.is_array() || pair.size() != 2) {
      expect.fail("updated", "expected [address, descriptor]");
    }
    t.updated = {word_address(Object::number_of(pair[0], "/expect/updated/0"), "/expect/updated/0"),
                 Object::number_of(pair[1], "/expect/updated/1")};
  }
  return t;
}

RangeOperand range_of(const json& document) {
  const Object root(document, "", {"id", "xt", "asid", "ttl", "valid", "granule", "start", "end"});
  RangeOperand r;
  r.xt = root.number("xt");
  r.asid = static_cast<std::uint16_t>(root.number("asid", 0xffff));
  r.ttl = static_cast<unsigned>(root.number("ttl", 3));
  if (root.flag("valid")) {
    r.expect = {static_cast<unsigned>(root.number("granule", 64)), root.number("start"),
                root.number("end")};
  }
  return r;
}

}  // namespace

std::uint64_t parse_number(const std::string& text, const std::string& place) {
  const bool hex = text.starts_with("0x");
  const char* const begin = text.data() + (hex ? 2 : 0);
  const char* const end = text.data() + text.size();
  std::uint64_t n = 0;
  const auto [stop, error] = std::from_chars(begin, end, n, hex ? 16 : 10);
  if (error != std::errc() || stop != end) {
    throw InputError(
        fmt::format("{}: '{}' is not a 64-bit number; expected 0x... or decimal", place, text));
  }
  return n;
}

poe::AccessKind parse_kind(const std::string& text, const std::string& place) {
  const auto it = std::find(kKinds.begin(), kKinds.end(), text);
  if (it == kKinds.end()) {
    throw InputError(
        fmt::format("{}: '{}' is not a kind of access; known: R, W, RW, X", place, text));
  }
  return static_cast<poe::AccessKind>(it - kKinds.begin());
}

std::string_view kind_name(poe::AccessKind kind) { return kKinds[static_cast<unsigned>(kind)]; }

std::uint64_t* register_by_name(mmu::Registers& regs, std::string_view name) {
  for (const auto& [known, member] : kRegisters) {
    if (known == name) return &(regs.*member);
  }
  return nullptr;
}

std::vector<std::string> register_names() {
  std::vector<std::string> names;
  names.reserve(kRegisters.size());
  for (const auto& [name, unused] : kRegisters) names.emplace_back(name);
  return names;
}

Vector parse_vector(std::string_view line) {
  const json document = parse_json(line);
  if (!document.is_object()) throw InputError("/: expected an object");
  Vector v;
  if (document.contains("id")) v.id = dump(document["id"]);
  if (document.contains("xt")) {
    v.what = range_of(document);
  } else {
    v.what = translation_of(document);
  }
  return v;
}

Translation parse_translation(const json& document) {
  return inputs_of(Object(document, "", {"id", "regs", "mem", "access", "expect"}));
}

}  // namespace kpksim::conform
