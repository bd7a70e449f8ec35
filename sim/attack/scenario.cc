#include "sim/attack/scenario.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "sim/attack/page_reader.h"
#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/workload/json.h"
#include "sim/workload/schema.h"

namespace kpksim::attack {
namespace {

using nlohmann::json;

struct PrimitiveInfo {
  std::string_view name;
  Primitive primitive;
  bool after_phase;  // never during one
};
constexpr std::array<PrimitiveInfo, 13> kPrimitives = {{
    {"take", Primitive::kTake, true},
    {"free", Primitive::kFree, false},
    {"keep", Primitive::kKeep, true},
    {"map_user", Primitive::kMapUser, true},
    {"write", Primitive::kWrite, false},
    {"read", Primitive::kRead, false},
    {"user_write", Primitive::kUserWrite, false},
    {"copy_to_user", Primitive::kCopyToUser, false},
    {"alias_write", Primitive::kAliasWrite, false},
    {"flip", Primitive::kFlip, false},
    {"dma", Primitive::kDma, false},
    {"set_saved", Primitive::kSetSaved, false},
    {"set_root", Primitive::kSetRoot, true},
}};
const PrimitiveInfo& info_of(Primitive primitive) {
  return *std::find_if(kPrimitives.begin(), kPrimitives.end(),
                       [&](const PrimitiveInfo& p) { return p.primitive == primitive; });
}

struct Occasion {
  std::string_view name;
  When when;
  From from;  // unless it says otherwise
};
constexpr std::array<Occasion, 8> kOccasions = {{
    {"window", When::kWindow, From::kInterrupt},
    {"store", When::kStore, From::kInterrupt},
    {"marking", When::kMarking, From::kCode},
    {"unmarking", When::kUnmarking, From::kCode},
    {"flush", When::kFlush, From::kOtherCore},
    {"outstanding", When::kOutstanding, From::kOtherCore},
    {"context", When::kContext, From::kCode},
    {"asleep", When::kAsleep, From::kCode},
}};
const std::map<std::string, From> kFrom = {
    {"code", From::kCode}, {"interrupt", From::kInterrupt}, {"other_core", From::kOtherCore}};

// What page tables weigh against other classes in an assignment (kpksim keys measures it): those
// of a machine with some hundred processes.
constexpr std::uint64_t kTableBytes = 16ull << 20;

// One schema of both texts: the workload's definitions are used by the attack's.
const std::string& whole_schema() {
  static const std::string text = [] {
    json schema = json::parse(kAttackSchema);
    schema["definitions"].update(json::parse(workload::kWorkloadSchema)["definitions"]);
    return schema.dump();
  }();
  return text;
}

class Reader {
 public:
  explicit Reader(const std::string& path) : file_(read_json_document(path, whole_schema())) {}

  Scenario read() {
    const json& root = file_.root();
    Scenario out;
    out.name = root["name"].get<std::string>();
    out.description = root["description"].get<std::string>();
    out.source = root["source"].get<std::string>();
    out.workload = workload::read_valid_workload(file_);
    workload_ = &out.workload;
    if (root.contains("inject")) out.injections = injections(root["inject"]);
    if (root.contains("keys")) out.classes = plan(root["keys"]);
    pages_.emplace(file_, out.workload, out.classes.get());
    for (std::size_t i = 0; i < root["strikes"].size(); ++i) {
      const std::string at = fmt::format("/strikes/{}", i);
      out.strikes.push_back(strike(root["strikes"][i], at));
    }
    check_turns(out.strikes);
    out.goal = goal(root["goal"]);
    out.credentials = pages_->any_credentials();
    return out;
  }

 private:
  std::shared_ptr<const kernel::ClassPlan> plan(const json& keys) const {
    const auto given = keys["classes"].get<std::string>();
    const auto path = std::filesystem::path(file_.path()).parent_path() / given;
    std::error_code none;
    if (!std::filesystem::is_regular_file(path, none)) {
      file_.fail("/keys/classes", fmt::format("'{}' is no file; the path starts from the folder of "
                                              "this one",
                                              given));
    }
    kernel::Classes classes = kernel::read_classes(path.string());
    const std::vector<std::uint64_t> alike(classes.contexts.size(), 1);
    const pkrs::Strategy strategy = pkrs::parse_strategy(keys["strategy"].get<std::string>());
    pkrs::Assignment assignment = pkrs::assign(kernel::demand_of(classes, alike, kTableBytes),
                                               strategy, keys["budget"].get<unsigned>());
    if (!assignment.refusal.empty()) file_.fail("/keys", assignment.refusal);
    return std::make_shared<const kernel::ClassPlan>(
        kernel::ClassPlan{std::move(classes), false, std::move(assignment)});
  }

  std::vector<kernel::Injection> injections(const json& list) const {
    std::vector<kernel::Injection> out;
    for (std::size_t i = 0; i < list.size(); ++i) {
      try {
        out.push_back(kernel::parse_injection(list[i].get<std::string>()));
      } catch (const InputError& e) {
        file_.fail(fmt::format("/inject/{}", i), e.what());
      }
    }
    return out;
  }

  std::size_t phase(const json& name, const std::string& at) const {
    std::map<std::string, std::size_t> phases;
    for (std::size_t i = 0; i < workload_->phases.size(); ++i) {
      phases.emplace(workload_->phases[i].name, i);
    }
    return pages_->named(phases, name.get<std::string>(), "phase of the workload", at);
  }

  Forged forged(const json& value, const std::string& at) {
    Forged out;
    if (value.is_string()) {
      const auto text = value.get<std::string>();
      const char* const end = text.data() + text.size();
      const bool prefixed = text.starts_with("0x");
      const auto [rest, error] =
          std::from_chars(text.data() + (prefixed ? 2 : 0), end, out.number, 16);
      if (!prefixed || error != std::errc{} || rest != end) {
        file_.fail(at, fmt::format("'{}' is no number; write it as 0x1234", text));
      }
      return out;
    }
    if (value.size() != 1) file_.fail(at, "expected a leaf or a table");
    out.kind = value.contains("leaf") ? Forged::Kind::kLeaf : Forged::Kind::kTable;
    out.page = pages_->read(value.begin().value(), at + "/" + value.begin().key());
    return out;
  }

  // When it falls, and who strikes then.
  void moment(const json& s, const std::string& at, Strike& out) const {
    if (s.contains("after") == s.contains("during")) {
      file_.fail(at, "expected 'after' or 'during', and a phase");
    }
    const char* const phase_key = s.contains("after") ? "after" : "during";
    out.phase = phase(s[phase_key], at + "/" + phase_key);
    const bool during = s.contains("during");
    const bool saved = out.primitive == Primitive::kSetSaved;
    if (during != (s.contains("when") || saved)) file_.fail(at, "'when' belongs to 'during'");
    if (!during) {
      for (const char* key : {"nth", "each", "from", "site", "context"}) {
        if (s.contains(key)) file_.fail(at + "/" + key, "belongs to 'during'");
      }
      if (saved) file_.fail(at, "a set_saved comes during a phase");
      return;
    }
    if (info_of(out.primitive).after_phase) {
      file_.fail(at, fmt::format("a {} comes after a phase", name_of(out.primitive)));
    }
    out.when = When::kException;
    if (s.contains("when")) {
      const auto name = s["when"].get<std::string>();
      const auto* const found = std::find_if(kOccasions.begin(), kOccasions.end(),
                                             [&](const Occasion& o) { return o.name == name; });
      out.when = found->when;
      out.from = found->from;
    }
    if (saved && out.when != When::kException && out.when != When::kAsleep) {
      file_.fail(at + "/when", "a set_saved comes at an exception (without 'when'), or 'asleep'");
    }
    if (s.contains("from")) out.from = kFrom.at(s["from"].get<std::string>());
    out.nth = s.value("nth", std::uint64_t{1});
    out.each = s.value("each", std::uint64_t{0});
    if (s.contains("nth") && out.each != 0) file_.fail(at + "/nth", "'each' says which they are");
    const bool flushes = out.when == When::kFlush || out.when == When::kOutstanding;
    if (s.contains("site")) {
      if (!flushes) file_.fail(at + "/site", "belongs to 'flush' and 'outstanding'");
      out.site = site(s["site"].get<std::string>(), at + "/site");
    }
    const bool in_context = out.when == When::kContext || out.when == When::kAsleep;
    if (in_context != s.contains("context")) {
      file_.fail(
          at, in_context ? "missing key 'context'" : "'context' belongs to 'context' and 'asleep'");
    }
    if (in_context) {
      out.context = pages_->context(s["context"], at + "/context", out.when == When::kAsleep);
    }
  }
  kernel::FlushSite site(const std::string& name, const std::string& at) const {
    const auto& known = kernel::kFlushSiteNames;
    const auto* const found = std::find(known.begin() + 1, known.end(), name);
    if (found == known.end()) {
      file_.fail(at, fmt::format("'{}' is no place of a flush{}", name,
                                 suggest(name, {known.begin() + 1, known.end()})));
    }
    return static_cast<kernel::FlushSite>(found - known.begin());
  }

  Strike strike(const json& s, const std::string& at) {
    Strike out;
    const auto name = s["do"].get<std::string>();
    out.primitive =
        std::find_if(kPrimitives.begin(), kPrimitives.end(), [&](const PrimitiveInfo& p) {
          return p.name == name;
        })->primitive;
    moment(s, at, out);
    if (s.contains("task")) out.task = pages_->task(s["task"], at + "/task");
    if (s.contains("region")) out.region = pages_->region(s["region"], at + "/region");
    out.place = pages_->size(s, "place", at);
    out.offset = pages_->size(s, "offset", at);
    out.order = s.value("order", 0u);
    out.movable = s.value("movable", false);
    out.untagged = s.value("untagged", false);
    out.bit = s.value("bit", 0u);
    if (s.contains("by")) out.by = pointer(s["by"].get<std::string>(), at + "/by", out);
    if (out.offset % 8 != 0) file_.fail(at + "/offset", "no multiple of 8: a store has 8 bytes");
    if (out.primitive == Primitive::kTake || out.primitive == Primitive::kKeep) {
      names_page(s, at, out);
    } else {
      uses_page(s, at, out);
    }
    if (s.contains("value")) out.value = forged(s["value"], at + "/value");
    out.at = fmt::format("{}: {} ({})", file_.place(at), at, out.text);
    return out;
  }

  // From which pointer a place is reached that is not this pointer's own.
  std::string pointer(const std::string& name, const std::string& at, const Strike& strike) const {
    if (strike.primitive != Primitive::kWrite && strike.primitive != Primitive::kRead) {
      file_.fail(at, "belongs to 'write' and 'read'");
    }
    if (!named_.contains(name)) {
      file_.fail(at,
                 fmt::format("no take or keep before this has a page '{}'{}", name,
                             named_.empty() ? "" : suggest(name, {named_.begin(), named_.end()})));
    }
    return name;
  }

  // A take or keep.
  void names_page(const json& s, const std::string& at, Strike& out) {
    if (out.primitive == Primitive::kKeep) {
      if (!s.contains("of")) file_.fail(at, "missing key 'of'");
      out.of = pages_->read(s["of"], at + "/of");
    }
    if (!s.contains("page") || !s["page"].is_string()) {
      file_.fail(at, fmt::format("a {} names its page", name_of(out.primitive)));
    }
    out.page.name = s["page"].get<std::string>();
    if (out.page.name == "marked") file_.fail(at + "/page", "'marked' is the page being marked");
    pages_->take(out.page.name);
    named_.insert(out.page.name);
    if (out.primitive == Primitive::kTake) taken_.insert(out.page.name);
    out.text = out.primitive == Primitive::kTake
                   ? fmt::format("take page '{}'", out.page.name)
                   : fmt::format("keep a pointer '{}' to {}", out.page.name, out.of.text);
  }

  void uses_page(const json& s, const std::string& at, Strike& out) {
    const bool by_task = out.primitive == Primitive::kUserWrite ||
                         out.primitive == Primitive::kMapUser ||
                         out.primitive == Primitive::kSetRoot;
    if (by_task && out.task == 0) file_.fail(at, "missing key 'task'");
    const bool by_region = by_task && out.primitive != Primitive::kSetRoot;
    if (by_region && out.region == 0) file_.fail(at, "missing key 'region'");
    const bool needs_page =
        out.primitive != Primitive::kUserWrite && out.primitive != Primitive::kSetSaved;
    if (needs_page && !s.contains("page")) file_.fail(at, "missing key 'page'");
    if (s.contains("page")) out.page = pages_->read(s["page"], at + "/page");
    const bool marks = out.when == When::kMarking || out.when == When::kUnmarking ||
                       out.when == When::kFlush || out.when == When::kOutstanding;
    if (out.page.kind == PageRef::Kind::kMarked && !marks) {
      file_.fail(at + "/page", "'marked' is a page while one is marked or unmarked, and flushed");
    }
    if (out.primitive == Primitive::kFree && !taken_.contains(out.page.name)) {
      file_.fail(at, "only what was taken is freed");
    }
    if (by_region) {
      out.text = fmt::format("{} at {} of '{}'", name_of(out.primitive),
                             s["region"].get<std::string>(), s["task"].get<std::string>());
    } else if (!needs_page) {
      out.text = fmt::format("{}", name_of(out.primitive));
    } else {
      out.text = fmt::format("{} {}", name_of(out.primitive), out.page.text);
      if (out.offset != 0) out.text += fmt::format(" + {:#x}", out.offset);
      if (!out.by.empty()) out.text += fmt::format(" from the pointer to page '{}'", out.by);
    }
  }

  void check_turns(const std::vector<Strike>& strikes) const {
    std::optional<std::size_t> first;
    for (std::size_t i = 0; i < strikes.size(); ++i) {
      if (strikes[i].each == 0) continue;
      if (first) {
        file_.fail(fmt::format("/strikes/{}/each", i),
                   fmt::format("/strikes/{} has one already: only one strike takes turns", *first));
      }
      first = i;
    }
  }

  Goal goal(const json& g) {
    Goal out;
    out.at = fmt::format("{}: /goal", file_.place("/goal"));
    out.page = pages_->read(g["page"], "/goal/page");
    if (g.contains("reach") == g.contains("change")) {
      file_.fail("/goal", "expected 'reach' or 'change'");
    }
    if (g.contains("change")) {
      out.kind = Goal::Kind::kChange;
      return out;
    }
    const json& by = g["reach"];
    if (!by.contains("task")) file_.fail("/goal/reach", "missing key 'task'");
    out.task = pages_->task(by["task"], "/goal/reach/task");
    out.region = pages_->region(by["region"], "/goal/reach/region");
    out.task_name = by["task"].get<std::string>();
    out.region_name = by["region"].get<std::string>();
    return out;
  }

  const JsonFile file_;
  const workload::Workload* workload_ = nullptr;
  std::optional<PageReader> pages_;
  std::set<std::string> taken_, named_;
};

}  // namespace

std::string_view name_of(Primitive primitive) { return info_of(primitive).name; }

Scenario read_scenario(const std::string& path) { return Reader(path).read(); }

}  // namespace kpksim::attack
