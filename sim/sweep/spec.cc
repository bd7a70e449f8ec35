#include "sim/sweep/spec.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/base/json_text.h"
#include "sim/base/setting.h"
#include "sim/sweep/dimension.h"

namespace kpksim::sweep {
namespace {

using nlohmann::json;

constexpr Point kMaxPoints = Point{1} << 40;
const std::vector<std::string> kDocuments = {"workload", "policy", "core", "kernel", "classes"};
const std::vector<std::string> kKinds = {"grid", "zip", "random", "latin_hypercube"};

bool is_document(std::string_view key) {
  return std::find(kDocuments.begin(), kDocuments.end(), key) != kDocuments.end();
}

// Values that stand for files and policies are texts; the others are for their documents to judge.
std::string value_of(const JsonFile& file, const std::string& key, const json& value,
                     const std::string& pointer) {
  if (is_document(key) && !value.is_string()) {
    file.fail(pointer, fmt::format("expected a name, found {}", dump(value)));
  }
  return dump(value);
}

List list_of(const JsonFile& file, const std::string& key, const json& values,
             const std::string& pointer) {
  if (!values.is_array() || values.empty()) {
    file.fail(pointer, fmt::format("expected a list of values, found {}", dump(values)));
  }
  List list{key, {}};
  list.values.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    list.values.push_back(value_of(file, key, values[i], fmt::format("{}/{}", pointer, i)));
  }
  return list;
}

Drawn drawn_of(const JsonFile& file, const std::string& key, const json& value,
               const std::string& pointer) {
  Drawn drawn;
  drawn.list.key = key;
  if (value.is_array()) {
    drawn.list = list_of(file, key, value, pointer);
    return drawn;
  }
  const std::vector<std::string> known = {"from", "to", "scale", "whole"};
  if (!value.is_object()) {
    file.fail(pointer,
              fmt::format("expected a list, or an object with from and to, found {}", dump(value)));
  }
  for (const auto& [name, unused] : value.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      file.fail(pointer + "/" + pointer_part(name), "unknown key" + suggest(name, known));
    }
  }
  if (is_document(key)) file.fail(pointer, "expected a list of names");
  for (const auto& [name, target] : {std::pair{"from", &drawn.from}, {"to", &drawn.to}}) {
    if (!value.contains(name) || !value[name].is_number()) {
      file.fail(pointer, fmt::format("expected a number '{}'", name));
    }
    *target = value[name].get<double>();
  }
  if (drawn.to < drawn.from) file.fail(pointer + "/to", "less than 'from'");
  const json scale = value.value("scale", json("linear"));
  if (scale != "linear" && scale != "log") {
    file.fail(pointer + "/scale", fmt::format("expected linear or log, found {}", dump(scale)));
  }
  drawn.logarithmic = scale == "log";
  if (drawn.logarithmic && drawn.from <= 0) {
    file.fail(pointer + "/from", "a scale of log begins above 0");
  }
  const json whole = value.value("whole", json(false));
  if (!whole.is_boolean()) file.fail(pointer + "/whole", "expected true or false");
  drawn.whole = whole.get<bool>();
  return drawn;
}

}  // namespace

Spec::Spec(const std::string& path)
    : file_(std::make_shared<const JsonFile>(read_json_document(path, kSweepSchema))) {
  const json& root = file_->root();
  name_ = root["name"].get<std::string>();
  json same = root;  // what is said of it does not make it another sweep
  same.erase("$schema");
  same.erase("description");
  text_ = dump(same);
  beyond_ranges_ = root.value("beyond_ranges", false);
  read_base();
  for (std::size_t i = 0; i < root["space"].size(); ++i) read_part(i);
  const auto has_workload = [](const auto& name) { return name == "workload"; };
  if (!root["base"].contains("workload") &&
      std::none_of(varied_.begin(), varied_.end(), has_workload)) {
    file_->fail("/base", "missing key 'workload'");
  }
}

void Spec::read_base() {
  const json& base = file_->root()["base"];
  for (const std::string& key : kDocuments) {
    if (!base.contains(key)) continue;
    base_.push_back({key, dump(base[key])});
    places_.emplace_back(key, "/base/" + key);
  }
  if (!base.contains("set")) return;
  for (const auto& [key, value] : base["set"].items()) {
    const std::string pointer = "/base/set/" + pointer_part(key);
    parse_setting_key(key, file_->place(pointer) + ": " + pointer);
    places_.emplace_back(key, pointer);
    base_.push_back({key, dump(value)});
  }
}

void Spec::add_key(const std::string& key, const std::string& pointer) {
  if (!is_document(key)) {
    if (key.find(':') == std::string::npos) {
      file_->fail(pointer, fmt::format("'{}' is no setting; expected DOCUMENT:/POINTER, or a "
                                       "document{}",
                                       key, suggest(key, kDocuments)));
    }
    parse_setting_key(key, file_->place(pointer) + ": " + pointer);
  }
  if (std::find(varied_.begin(), varied_.end(), key) != varied_.end()) {
    file_->fail(pointer, fmt::format("'{}' varies already", key));
  }
  varied_.push_back(key);
  places_.emplace_back(key, pointer);
}

void Spec::add_dimension(std::shared_ptr<const Dimension> dimension, const std::string& pointer) {
  if (dimension->size() > kMaxPoints / points_) {
    file_->fail(pointer, fmt::format("more than {} points", kMaxPoints));
  }
  points_ *= dimension->size();
  dimensions_.push_back(std::move(dimension));
}

void Spec::read_part(std::size_t i) {
  const json& part = file_->root()["space"][i];
  const std::string at = fmt::format("/space/{}", i);
  std::string kind;
  for (const std::string& one : kKinds) {
    if (!part.contains(one)) continue;
    if (!kind.empty())
      file_->fail(at, fmt::format("both '{}' and '{}': each is a part", kind, one));
    kind = one;
  }
  if (kind.empty()) file_->fail(at, "expected grid, zip, random or latin_hypercube");
  const std::string pointer = at + "/" + kind;
  const bool drawn = kind == "random" || kind == "latin_hypercube";
  for (const char* key : {"points", "seed"}) {
    if (part.contains(key) && !drawn) {
      file_->fail(fmt::format("{}/{}", at, key), fmt::format("a {} has none", kind));
    }
  }
  if (drawn && !part.contains("points")) file_->fail(at, "missing key 'points'");
  std::vector<List> lists;
  std::vector<Drawn> draws;
  for (const auto& [key, value] : part[kind].items()) {
    const std::string place = pointer + "/" + pointer_part(key);
    add_key(key, place);
    if (drawn) {
      draws.push_back(drawn_of(*file_, key, value, place));
      continue;
    }
    lists.push_back(list_of(*file_, key, value, place));
    if (kind == "grid") {
      add_dimension(zipped({lists.back()}), place);
    } else if (lists.back().values.size() != lists[0].values.size()) {
      file_->fail(place, fmt::format("{} values, where '{}' has {}", lists.back().values.size(),
                                     lists[0].key, lists[0].values.size()));
    }
  }
  if (kind == "zip") add_dimension(zipped(std::move(lists)), pointer);
  if (drawn) {
    add_dimension(sampled(std::move(draws), part["points"].get<Point>(),
                          part.value("seed", std::uint64_t{1}), kind == "latin_hypercube"),
                  pointer);
  }
}

std::vector<Assignment> Spec::settings(Point number) const {
  std::vector<Assignment> own;
  for (auto d = dimensions_.rbegin(); d != dimensions_.rend(); ++d) {
    std::vector<Assignment> some;
    (*d)->assign(number % (*d)->size(), some);
    number /= (*d)->size();
    own.insert(own.begin(), some.begin(), some.end());
  }
  std::vector<Assignment> out;
  out.reserve(base_.size() + own.size());
  for (const Assignment& a : base_) {
    const auto same = [&](const Assignment& b) { return b.key == a.key; };
    if (std::none_of(own.begin(), own.end(), same)) out.push_back(a);
  }
  out.insert(out.end(), own.begin(), own.end());
  return out;
}

std::vector<std::string> Spec::names_of(std::string_view key) const {
  std::vector<std::string> texts;
  for (const auto& dimension : dimensions_) {
    const std::vector<std::string> more = dimension->listed(key);
    texts.insert(texts.end(), more.begin(), more.end());
  }
  if (texts.empty()) {
    for (const Assignment& a : base_) {
      if (a.key == key) texts.push_back(a.value);
    }
  }
  for (std::string& text : texts) text = json::parse(text).get<std::string>();
  return texts;
}

std::vector<Spec::Listed> Spec::listed_texts(Point most) const {
  constexpr Point kLookedAt = 4096;
  std::vector<Listed> out;
  for (const Assignment& a : base_) {
    const bool varies = std::find(varied_.begin(), varied_.end(), a.key) != varied_.end();
    if (varies || !a.value.starts_with('"')) continue;
    out.push_back({a, {}});
    for (Point p = 0; p < std::min(most, points_); ++p) out.back().points.push_back(p);
  }
  Point behind = points_;  // points that differ in dimensions behind this one alone
  for (const auto& dimension : dimensions_) {
    const Point size = dimension->size();
    behind /= size;
    for (Point index = 0; index < std::min(size, kLookedAt); ++index) {
      std::vector<Assignment> own;
      dimension->assign(index, own);
      for (const Assignment& a : own) {
        if (!a.value.starts_with('"')) continue;
        auto listed =
            std::find_if(out.begin(), out.end(), [&](const Listed& l) { return l.what == a; });
        if (listed == out.end()) listed = out.insert(out.end(), {a, {}});
        for (Point n = 0; n < points_ / size && listed->points.size() < most; ++n) {
          listed->points.push_back((n / behind * size + index) * behind + n % behind);
        }
      }
    }
  }
  return out;
}

std::string Spec::pointer_of(const std::string& key) const {
  std::string pointer;
  for (const auto& [known, at] : places_) {
    if (known == key) pointer = at;  // what varies stands behind the base
  }
  return pointer;
}

std::string Spec::pointer_of(const Assignment& setting) const {
  std::string pointer = pointer_of(setting.key);
  if (pointer.empty()) return pointer;
  const json& values = file_->root().at(json::json_pointer(pointer));
  for (std::size_t i = 0; values.is_array() && i < values.size(); ++i) {
    if (dump(values[i]) == setting.value) return fmt::format("{}/{}", pointer, i);
  }
  return pointer;
}

void Spec::refuse_key(const std::vector<Assignment>& settings, const std::string& what) const {
  for (const Assignment& a : settings) {
    if (what.find(a.key + "=" + a.value) != std::string::npos) file_->fail(pointer_of(a.key), what);
  }
}

void Spec::refuse(const Assignment& setting, const std::string& what) const {
  file_->fail(pointer_of(setting), what);
}
void Spec::refuse(const std::string& what) const { file_->fail("", what); }

}  // namespace kpksim::sweep
