#include "sim/attack/scenario.h"

#include <fmt/core.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/workload/json.h"
#include "sim/workload/schema.h"
#include "sim/workload/size.h"

namespace kpksim::attack {
namespace {

using nlohmann::json;

const std::map<std::string, Primitive> kPrimitives = {{"take", Primitive::kTake},
                                                      {"free", Primitive::kFree},
                                                      {"map_user", Primitive::kMapUser},
                                                      {"write", Primitive::kWrite},
                                                      {"read", Primitive::kRead},
                                                      {"user_write", Primitive::kUserWrite},
                                                      {"copy_to_user", Primitive::kCopyToUser},
                                                      {"alias_write", Primitive::kAliasWrite},
                                                      {"flip", Primitive::kFlip},
                                                      {"dma", Primitive::kDma},
                                                      {"set_saved", Primitive::kSetSaved},
                                                      {"set_root", Primitive::kSetRoot}};
const std::map<std::string, When> kWhen = {{"window", When::kWindow},
                                           {"other_core", When::kOtherCore},
                                           {"marking", When::kMarking},
                                           {"unmarking", When::kUnmarking}};

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
    std::set<std::pair<std::size_t, int>> occasions;
    for (std::size_t i = 0; i < root["strikes"].size(); ++i) {
      const std::string at = fmt::format("/strikes/{}", i);
      out.strikes.push_back(strike(root["strikes"][i], at));
      const Strike& s = out.strikes.back();
      const int kind = s.primitive == Primitive::kSetSaved ? -1 : static_cast<int>(s.when);
      if (s.when != When::kAtRest && !occasions.emplace(s.phase, kind).second) {
        file_.fail(at, "a phase has one strike for each kind of occasion");
      }
    }
    out.goal = goal(root["goal"]);
    return out;
  }

 private:
  template <class Map>
  auto named(const Map& ids, const std::string& name, const char* kind,
             const std::string& at) const {
    const auto found = ids.find(name);
    if (found != ids.end()) return found->second;
    std::vector<std::string> known;
    known.reserve(ids.size());
    for (const auto& [other, unused] : ids) known.push_back(other);
    file_.fail(at, fmt::format("'{}' is not a {}{}", name, kind, suggest(name, known)));
  }
  std::uint32_t task(const json& name, const std::string& at) const {
    return named(workload_->task_names, name.get<std::string>(), "task of the workload", at);
  }
  std::uint32_t region(const json& name, const std::string& at) const {
    return named(workload_->region_names, name.get<std::string>(), "region of the workload", at);
  }
  std::size_t phase(const json& name, const std::string& at) const {
    std::map<std::string, std::size_t> phases;
    for (std::size_t i = 0; i < workload_->phases.size(); ++i) {
      phases.emplace(workload_->phases[i].name, i);
    }
    return named(phases, name.get<std::string>(), "phase of the workload", at);
  }
  std::uint64_t size(const json& object, const char* key, const std::string& at) const {
    if (!object.contains(key)) return 0;
    const json& value = object[key];
    return workload::parse_size(value.is_string() ? value.get<std::string>() : value.dump(),
                                fmt::format("{}: {}/{}", file_.path(), at, key));
  }

  PageRef page(const json& value, const std::string& at) const {
    PageRef out;
    if (value.is_string()) {
      out.name = value.get<std::string>();
      if (out.name == "marked") out.kind = PageRef::Kind::kMarked;
      if (out.name != "marked" && !taken_.contains(out.name)) {
        file_.fail(
            at,
            fmt::format("no take before this has a page '{}'{}", out.name,
                        taken_.empty() ? "" : suggest(out.name, {taken_.begin(), taken_.end()})));
      }
      return out;
    }
    if (value.size() != 1) file_.fail(at, "expected one of the ways to say which page it is");
    const std::string key = value.begin().key();
    const json& of = value.begin().value();
    const std::string here = at + "/" + key;
    if (key == "swapper") {
      out.kind = PageRef::Kind::kSwapper;
    } else if (key == "root_of") {
      out.kind = PageRef::Kind::kRoot;
      out.task = task(of, here);
    } else if (key == "linear_table_of") {
      out.kind = PageRef::Kind::kLinear;
      out.name = of.get<std::string>();
      if (!taken_.contains(out.name)) {
        file_.fail(here, fmt::format("no take before this has a page '{}'", out.name));
      }
    } else {
      out.kind = key == "table_of"   ? PageRef::Kind::kTable
                 : key == "frame_of" ? PageRef::Kind::kFrame
                                     : PageRef::Kind::kVmalloc;
      const bool user = out.kind != PageRef::Kind::kVmalloc;
      if (user && !of.contains("task")) file_.fail(here, "missing key 'task'");
      if (user) out.task = task(of["task"], here + "/task");
      out.region = region(of["region"], here + "/region");
      out.offset = size(of, "offset", here);
      out.level = of.value("level", 3u);
    }
    return out;
  }

  Forged forged(const json& value, const std::string& at) const {
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
    out.page = page(value.begin().value(), at + "/" + value.begin().key());
    return out;
  }

  Strike strike(const json& s, const std::string& at) {
    Strike out;
    out.pointer = at;
    out.primitive = kPrimitives.at(s["do"].get<std::string>());
    if (s.contains("after") == s.contains("during")) {
      file_.fail(at, "expected 'after' or 'during', and a phase");
    }
    const char* const phase_key = s.contains("after") ? "after" : "during";
    out.phase = phase(s[phase_key], at + "/" + phase_key);
    const bool saved = out.primitive == Primitive::kSetSaved;
    if (s.contains("during") != (s.contains("when") || saved)) {
      file_.fail(at, "'when' belongs to 'during'");
    }
    if (s.contains("when")) out.when = kWhen.at(s["when"].get<std::string>());
    if (saved) out.when = When::kWindow;
    out.nth = s.value("nth", std::uint64_t{1});
    if (s.contains("task")) out.task = task(s["task"], at + "/task");
    if (s.contains("region")) out.region = region(s["region"], at + "/region");
    out.place = size(s, "place", at);
    out.offset = size(s, "offset", at);
    out.order = s.value("order", 0u);
    out.movable = s.value("movable", false);
    out.bit = s.value("bit", 0u);
    if (out.primitive == Primitive::kTake) {
      if (!s.contains("page") || !s["page"].is_string()) file_.fail(at, "a take names its page");
      out.page.name = s["page"].get<std::string>();
      if (out.page.name == "marked") file_.fail(at + "/page", "'marked' is the page being marked");
      taken_.insert(out.page.name);
      freed_.erase(out.page.name);
      if (out.when != When::kAtRest) file_.fail(at, "a take comes after a phase");
      return out;
    }
    const bool by_mapping = out.primitive == Primitive::kUserWrite ||
                            out.primitive == Primitive::kMapUser ||
                            out.primitive == Primitive::kSetRoot;
    if (by_mapping && out.task == 0) file_.fail(at, "missing key 'task'");
    if (by_mapping && out.when != When::kAtRest) {
      file_.fail(at, fmt::format("a {} comes after a phase", s["do"].get<std::string>()));
    }
    const bool needs_page = out.primitive != Primitive::kUserWrite && !saved;
    if (needs_page && !s.contains("page")) file_.fail(at, "missing key 'page'");
    if (s.contains("page")) out.page = page(s["page"], at + "/page");
    const bool marked = out.page.kind == PageRef::Kind::kMarked;
    if (marked && out.when != When::kMarking && out.when != When::kUnmarking) {
      file_.fail(at + "/page", "'marked' is a page during marking and unmarking alone");
    }
    if (out.primitive == Primitive::kFree) {
      if (out.page.kind != PageRef::Kind::kNamed) file_.fail(at, "only what was taken is freed");
      if (!freed_.insert(out.page.name).second) {
        file_.fail(
            at, fmt::format("'{}' is free already; a double free is not modelled", out.page.name));
      }
    }
    if (s.contains("value")) out.value = forged(s["value"], at + "/value");
    if (out.offset % 8 != 0) file_.fail(at + "/offset", "no multiple of 8: a store has 8 bytes");
    return out;
  }

  Goal goal(const json& g) const {
    Goal out;
    out.page = page(g["page"], "/goal/page");
    if (g.contains("reach") == g.contains("change")) {
      file_.fail("/goal", "expected 'reach' or 'change'");
    }
    if (g.contains("change")) {
      out.kind = Goal::Kind::kChange;
      return out;
    }
    const json& by = g["reach"];
    if (!by.contains("task")) file_.fail("/goal/reach", "missing key 'task'");
    out.task = task(by["task"], "/goal/reach/task");
    out.region = region(by["region"], "/goal/reach/region");
    out.task_name = by["task"].get<std::string>();
    out.region_name = by["region"].get<std::string>();
    return out;
  }

  const JsonFile file_;
  const workload::Workload* workload_ = nullptr;
  std::set<std::string> taken_, freed_;
};

}  // namespace

Scenario read_scenario(const std::string& path) { return Reader(path).read(); }

}  // namespace kpksim::attack
