#include "sim/attack/page_reader.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "sim/workload/size.h"

namespace kpksim::attack {
namespace {

using nlohmann::json;

// Page tables of each level as Linux calls them.
constexpr std::array<std::string_view, 4> kLevels = {"top-level", "PUD", "PMD", "PTE"};

}  // namespace

std::uint32_t PageReader::task(const json& name, const std::string& at) const {
  return named(workload_.task_names, name.get<std::string>(), "task of the workload", at);
}

std::uint32_t PageReader::region(const json& name, const std::string& at) const {
  return named(workload_.region_names, name.get<std::string>(), "region of the workload", at);
}

const kernel::ClassPlan& PageReader::plan(const std::string& at) const {
  if (plan_ == nullptr) file_.fail(at, "the scenario has no protected classes: give it 'keys'");
  return *plan_;
}

std::size_t PageReader::context(const json& name, const std::string& at, bool sleeps) const {
  std::map<std::string, std::size_t> ids;
  const auto& contexts = plan(at).classes.contexts;
  // Those of page tables are windows, which the kernel model opens itself.
  for (std::size_t i = 1; i < contexts.size(); ++i) {
    if (!sleeps || contexts[i].sleeps != 0) ids.emplace(contexts[i].name, i);
  }
  return named(ids, name.get<std::string>(),
               sleeps ? "context of the classes that sleeps" : "context of the classes", at);
}

std::uint64_t PageReader::size(const json& object, const char* key, const std::string& at) const {
  if (!object.contains(key)) return 0;
  const json& value = object[key];
  return workload::parse_size(value.is_string() ? value.get<std::string>() : value.dump(),
                              fmt::format("{}: {}/{}", file_.place(at + "/" + key), at, key));
}

void PageReader::check_taken(const std::string& name, const std::string& at) const {
  if (taken_.contains(name)) return;
  file_.fail(at, fmt::format("no take before this has a page '{}'{}", name,
                             taken_.empty() ? "" : suggest(name, {taken_.begin(), taken_.end()})));
}

// A place in a region, and of a table its level.
void PageReader::read_place(const json& of, const std::string& at, PageRef& out) const {
  const bool user = out.kind != PageRef::Kind::kVmalloc;
  if (user && !of.contains("task")) file_.fail(at, "missing key 'task'");
  if (user) out.task = task(of["task"], at + "/task");
  out.region = region(of["region"], at + "/region");
  out.offset = size(of, "offset", at);
  out.level = of.value("level", 3u);
  const auto name = of["region"].get<std::string>();
  if (!user) {
    out.text = fmt::format("the PTE table of vmalloc's '{}'", name);
  } else if (out.kind == PageRef::Kind::kFrame) {
    out.text = fmt::format("the page of '{}' of '{}'", name, of["task"].get<std::string>());
  } else {
    out.text = fmt::format("the {} table of '{}' of '{}'", kLevels[out.level], name,
                           of["task"].get<std::string>());
  }
}

void PageReader::read_linear(const json& of, const std::string& at, PageRef& out) const {
  out.kind = PageRef::Kind::kLinear;
  out.name = (of.is_string() ? of : of["page"]).get<std::string>();
  check_taken(out.name, of.is_string() ? at : at + "/page");
  if (of.is_object()) out.level = of.value("level", 3u);
  out.text =
      fmt::format("the {} table of the linear map for page '{}'", kLevels[out.level], out.name);
}

PageRef PageReader::read(const json& value, const std::string& at) {
  PageRef out;
  if (value.is_string()) {
    out.name = value.get<std::string>();
    out.text = fmt::format("page '{}'", out.name);
    if (out.name == "marked") {
      out.kind = PageRef::Kind::kMarked;
    } else {
      check_taken(out.name, at);
    }
    return out;
  }
  if (value.size() != 1) file_.fail(at, "expected one of the ways to say which page it is");
  const std::string key = value.begin().key();
  const json& of = value.begin().value();
  const std::string here = at + "/" + key;
  if (key == "swapper") {
    out.kind = PageRef::Kind::kSwapper;
    out.text = "the kernel's top-level table";
  } else if (key == "root_of") {
    out.kind = PageRef::Kind::kRoot;
    out.task = task(of, here);
    out.text = fmt::format("the top-level table of '{}'", of.get<std::string>());
  } else if (key == "cred_of") {
    out.kind = PageRef::Kind::kCred;
    out.task = task(of, here);
    out.text = fmt::format("the credentials of '{}'", of.get<std::string>());
    credentials_ = true;
  } else if (key == "class") {
    out.kind = PageRef::Kind::kClass;
    const auto name = of.get<std::string>();
    std::map<std::string, std::size_t> ids;
    const auto& classes = plan(here).classes.classes;
    for (std::size_t i = 1; i < classes.size(); ++i) {
      if (classes[i].model == kernel::ClassModel::kCred && classes[i].name == name) {
        file_.fail(here, "which credentials? name them by their task: \"cred_of\"");
      }
      if (classes[i].model == kernel::ClassModel::kObjects) ids.emplace(classes[i].name, i);
    }
    out.of_class = named(ids, name, "protected class with objects", here);
    out.text = fmt::format("an object of class '{}'", of.get<std::string>());
  } else if (key == "linear_table_of") {
    read_linear(of, here, out);
  } else {
    out.kind = key == "table_of"   ? PageRef::Kind::kTable
               : key == "frame_of" ? PageRef::Kind::kFrame
                                   : PageRef::Kind::kVmalloc;
    read_place(of, here, out);
  }
  return out;
}

}  // namespace kpksim::attack
