#include "sim/kernel/object/classes.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/kernel/object/cred.h"

namespace kpksim::kernel {
namespace {

using nlohmann::json;

constexpr const char* kPageTables = "page_tables";

class Reader {
 public:
  explicit Reader(JsonFile file) : file_(std::move(file)) { check_schema(file_, kClassesSchema); }

  Classes read() {
    const json& root = file_.root();
    out_.name = root["name"].get<std::string>();
    out_.source = file_.path();
    // Page tables are always there.
    add_modelled({kPageTables, "the first user of kpkeys", ClassModel::kPageTables},
                 "windows of the kernel model");
    for (std::size_t i = 0; i < root["classes"].size(); ++i) {
      read_class(root["classes"][i], fmt::format("/classes/{}", i));
    }
    const json& contexts = root["contexts"];
    for (std::size_t i = 0; i < contexts.size(); ++i) {
      add_name(context_names_, contexts[i], fmt::format("/contexts/{}", i));
    }
    for (std::size_t i = 0; i < contexts.size(); ++i) {
      out_.contexts.push_back(context(contexts[i], fmt::format("/contexts/{}", i)));
    }
    for (std::size_t i = 0; i < contexts.size(); ++i) refuse_circle(i, i + modelled());
    return std::move(out_);
  }

 private:
  // A class of the full model has its own context, which no file declares.
  void add_modelled(const ProtectedClass& c, const char* sections) {
    ClassContext context;
    context.name = c.name;
    context.source = sections;
    context.writes = {out_.classes.size()};
    out_.contexts.push_back(context);
    context_names_.push_back(c.name);
    class_names_.push_back(c.name);
    out_.classes.push_back(c);
  }

  void read_class(const json& c, const std::string& at) {
    refuse_name(class_names_, c, at);
    ProtectedClass out;
    out.name = c["name"].get<std::string>();
    out.source = c["source"].get<std::string>();
    out.objects = c.value("objects", std::uint64_t{0});
    out.object_bytes = c.value("bytes", std::uint64_t{0});
    out.secret = c.value("secret", false);
    if (c.contains("model")) {  // the schema has no other than credentials
      if (const auto other = out_.class_of(ClassModel::kCred)) {
        file_.fail(at + "/model", fmt::format("credentials are the class '{}' already",
                                              out_.classes[*other].name));
      }
      for (const char* known : {"bytes", "secret"}) {
        if (c.contains(known)) {
          file_.fail(at + "/" + known,
                     fmt::format("the model of '{}' has its own '{}'", out.name, known));
        }
      }
      out.model = ClassModel::kCred;
      out.object_bytes = Creds::kBytes;
      return add_modelled(out, "guarded sections of the kernel model");
    }
    class_names_.push_back(out.name);
    out_.classes.push_back(std::move(out));
  }

  void refuse_name(const std::vector<std::string>& names, const json& of,
                   const std::string& at) const {
    const auto name = of["name"].get<std::string>();
    if (std::find(names.begin(), names.end(), name) == names.end()) return;
    const auto modelled = std::find_if(
        out_.classes.begin(), out_.classes.end(),
        [&](const ProtectedClass& c) { return c.name == name && c.model != ClassModel::kObjects; });
    const bool own =
        name == kPageTables || (&names == &context_names_ && modelled != out_.classes.end());
    file_.fail(at + "/name", own ? fmt::format("'{}' is always there, and not declared", name)
                                 : fmt::format("the name '{}' is given twice", name));
  }

  void add_name(std::vector<std::string>& names, const json& of, const std::string& at) const {
    refuse_name(names, of, at);
    names.push_back(of["name"].get<std::string>());
  }

  std::size_t index_of(const std::vector<std::string>& names, const std::string& name,
                       const char* kind, const std::string& at) const {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      file_.fail(at, fmt::format("'{}' is not a {}{}", name, kind, suggest(name, names)));
    }
    return static_cast<std::size_t>(found - names.begin());
  }

  ClassContext context(const json& c, const std::string& at) const {
    ClassContext out;
    out.name = c["name"].get<std::string>();
    out.source = c["source"].get<std::string>();
    for (const auto& [key, to] : {std::pair{"writes", &out.writes}, {"reads", &out.reads}}) {
      if (!c.contains(key)) continue;
      for (std::size_t i = 0; i < c[key].size(); ++i) {
        const std::string here = fmt::format("{}/{}/{}", at, key, i);
        const std::size_t of = index_of(class_names_, c[key][i].get<std::string>(), "class", here);
        if (out_.classes[of].model != ClassModel::kObjects) {
          file_.fail(here, out_.classes[of].page_tables()
                               ? "page tables are written by the kernel model's own windows"
                               : "credentials are written by the kernel model's own sections");
        }
        if (to == &out.reads && !out_.classes[of].secret) {
          file_.fail(here,
                     fmt::format("'{}' is no secret: everybody reads it", out_.classes[of].name));
        }
        to->push_back(of);
      }
    }
    out.stores = c.value("stores", std::uint64_t{1});
    out.loads = c.value("loads", std::uint64_t{1});
    out.instructions = c.value("instructions", std::uint64_t{0});
    out.sleeps = c.value("sleeps", std::uint64_t{0});
    if (c.contains("inside")) {
      out.inside =
          index_of(context_names_, c["inside"].get<std::string>(), "context", at + "/inside");
      if (out.inside < modelled()) {
        file_.fail(at + "/inside", out.inside == 0
                                       ? "windows of page tables do not sleep"
                                       : "sections of credentials are the kernel model's own");
      }
    }
    const std::vector<std::string> triggers(kTriggers.begin(), kTriggers.end());
    const json calls = c.value("calls", json::object());
    for (const auto& [name, rate] : calls.items()) {
      const std::size_t trigger =
          index_of(triggers, name, "call", fmt::format("{}/calls/{}", at, pointer_part(name)));
      out.micro_entries[trigger] =
          static_cast<std::uint64_t>(std::llround(rate.get<double>() * 1e6));
    }
    if (out.inside != ClassContext::kNowhere && !calls.empty()) {
      file_.fail(at + "/calls", "a context inside another is entered from there");
    }
    return out;
  }

  std::size_t modelled() const {
    return static_cast<std::size_t>(
        std::count_if(out_.classes.begin(), out_.classes.end(),
                      [](const ProtectedClass& c) { return c.model != ClassModel::kObjects; }));
  }

  // `context`: which one the file's `i`th is.
  void refuse_circle(std::size_t i, std::size_t context) const {
    std::size_t steps = 0;
    for (std::size_t at = context; at != ClassContext::kNowhere; at = out_.contexts[at].inside) {
      if (++steps > out_.contexts.size()) {
        file_.fail(fmt::format("/contexts/{}/inside", i), "contexts lie inside one another");
      }
    }
  }

  const JsonFile file_;
  Classes out_;
  std::vector<std::string> class_names_, context_names_;
};

}  // namespace

std::optional<std::size_t> Classes::class_of(ClassModel model) const {
  const auto found = std::find_if(classes.begin(), classes.end(),
                                  [&](const ProtectedClass& c) { return c.model == model; });
  if (found == classes.end()) return std::nullopt;
  return static_cast<std::size_t>(found - classes.begin());
}

std::size_t Classes::context_of(ClassModel model) const {
  const std::vector<std::size_t> own = {class_of(model).value()};
  const auto found = std::find_if(contexts.begin(), contexts.end(), [&](const ClassContext& c) {
    return c.writes == own && c.name == classes[own[0]].name;
  });
  if (found == contexts.end()) throw ModelError("a class of the full model without its context");
  return static_cast<std::size_t>(found - contexts.begin());
}

Classes read_classes(const std::string& path) { return read_classes(JsonFile(path)); }
Classes read_classes(const JsonFile& file) { return Reader(file).read(); }

namespace {

// The contexts that use one of the first `count` classes, and these uses of theirs.
void keep_first(Classes& all, std::size_t count) {
  all.classes.resize(count);
  std::vector<bool> stays;
  for (ClassContext& c : all.contexts) {
    for (std::vector<std::size_t>* uses : {&c.writes, &c.reads}) {
      std::erase_if(*uses, [&](std::size_t of) { return of >= count; });
    }
    stays.push_back(!c.writes.empty() || !c.reads.empty());
  }
  std::vector<std::size_t> now(all.contexts.size(), ClassContext::kNowhere);
  std::vector<ClassContext> kept;
  for (std::size_t i = 0; i < all.contexts.size(); ++i) {
    if (!stays[i]) continue;
    ClassContext c = all.contexts[i];
    while (c.inside != ClassContext::kNowhere && !stays[c.inside]) {
      c.micro_entries = all.contexts[c.inside].micro_entries;
      c.inside = all.contexts[c.inside].inside;
    }
    now[i] = kept.size();
    kept.push_back(std::move(c));
  }
  for (ClassContext& c : kept) {
    if (c.inside != ClassContext::kNowhere) c.inside = now[c.inside];
  }
  all.contexts = std::move(kept);
}

}  // namespace

Classes varied(Classes classes, const Variation& variation) {
  if (variation.first) {
    const std::size_t there = classes.classes.size() - 1;
    if (*variation.first < 1 || *variation.first > there) {
      throw InputError(fmt::format("the first {} classes: '{}' has 1 to {}", *variation.first,
                                   classes.name, there));
    }
    keep_first(classes, *variation.first + 1);
  }
  for (ClassContext& c : classes.contexts) {
    for (std::uint64_t& entries : c.micro_entries) {
      entries =
          static_cast<std::uint64_t>(std::llround(static_cast<double>(entries) * variation.rate));
    }
  }
  return classes;
}

pkrs::Demand demand_of(const Classes& classes, const std::vector<std::uint64_t>& weights,
                       std::uint64_t table_bytes) {
  pkrs::Demand out;
  for (const ProtectedClass& c : classes.classes) {
    out.classes.push_back({c.name, c.page_tables() ? table_bytes : c.bytes(), c.secret,
                           c.page_tables(), c.model == ClassModel::kCred});
  }
  for (std::size_t i = 0; i < classes.contexts.size(); ++i) {
    const ClassContext& c = classes.contexts[i];
    pkrs::ContextDemand demand{c.name, std::vector<bool>(classes.classes.size()), weights[i]};
    for (const std::size_t of : c.writes) demand.uses[of] = true;
    for (const std::size_t of : c.reads) demand.uses[of] = true;
    demand.around.resize(classes.classes.size());
    for (std::size_t at = c.inside; at != ClassContext::kNowhere;
         at = classes.contexts[at].inside) {
      for (const std::size_t of : classes.contexts[at].writes) demand.around[of] = true;
      for (const std::size_t of : classes.contexts[at].reads) demand.around[of] = true;
    }
    out.contexts.push_back(std::move(demand));
  }
  return out;
}

pkrs::KeyRegister ClassPlan::at_rest() const {
  pkrs::KeyRegister out = pkrs::KeyRegister().with(PkeyIndex(0), pkrs::Rights::kAll);
  for (std::size_t i = 0; i < classes.classes.size(); ++i) {
    if (!classes.classes[i].secret) out = out.with(assignment.key[i], pkrs::Rights::kRead);
  }
  // Keys that go from class to class go among their kind: what is no secret is read everywhere.
  if (assignment.virtualised) {
    for (unsigned k = assignment.first_free.value; k < assignment.first_secret.value; ++k) {
      out = out.with(PkeyIndex(static_cast<std::uint8_t>(k)), pkrs::Rights::kRead);
    }
  }
  return out;
}

// What it uses comes last: a class beside it that shares the key has no say.
pkrs::KeyRegister ClassPlan::in_context(std::size_t context,
                                        const std::vector<PkeyIndex>& keys) const {
  pkrs::KeyRegister out = at_rest();
  const ClassContext& c = classes.contexts[context];
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!assignment.reaches[context][i]) continue;
    const bool secret = classes.classes[i].secret;
    out = out.with(keys[i], secret ? pkrs::Rights::kRead : pkrs::Rights::kReadWrite);
  }
  for (const std::size_t i : c.reads) out = out.with(keys[i], pkrs::Rights::kRead);
  for (const std::size_t i : c.writes) out = out.with(keys[i], pkrs::Rights::kReadWrite);
  return out;
}

}  // namespace kpksim::kernel
