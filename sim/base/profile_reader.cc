#include "sim/base/profile_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "sim/base/error.h"
#include "sim/base/json_file.h"
#include "sim/base/json_text.h"
#include "sim/base/setting.h"

namespace kpksim {

using nlohmann::json;

namespace {

const std::vector<std::string> kConfidences = {"documented", "measured", "derived",
                                               "estimated",  "fitted",   "set"};

std::vector<std::string> keys_of(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) keys.push_back(key);
  }
  return keys;
}

// The number that a setting is for.
json& entry_of(json& root, const Setting& setting, const std::string& path) {
  std::vector<std::string> parts = parts_of_pointer(setting.pointer, setting.origin);
  if (parts.size() > 2 && parts.back() == "value") parts.pop_back();
  const std::string& group = parts[0];
  if (!root.contains(group) || !root[group].is_object()) {
    throw InputError(fmt::format("{}: {} has no '/{}'{}", setting.origin, path, group,
                                 suggest(group, keys_of(root))));
  }
  const std::string name = fmt::format("{}", fmt::join(parts.begin() + 1, parts.end(), "_"));
  if (!root[group].contains(name)) {
    throw InputError(fmt::format("{}: {} has no '/{}/{}'{}", setting.origin, path, group, name,
                                 suggest(name, keys_of(root[group]))));
  }
  return root[group][name];
}

}  // namespace

ProfileReader::ProfileReader(const std::string& path, Ranges ranges, const std::string& bases)
    : ProfileReader(std::make_shared<const JsonFile>(path), ranges, bases) {}

ProfileReader::ProfileReader(std::shared_ptr<const JsonFile> file, Ranges ranges,
                             const std::string& bases)
    : file_(std::move(file)), ranges_(ranges) {
  json root = file_->root();
  for (const char* key : {"name", "description"}) {
    const bool there = root.is_object() && root.contains(key);
    if (there && !root[key].is_string()) fail(std::string("/") + key, "expected a string");
    if (!there && key == std::string_view("name")) fail("/", "expected an object with a name");
  }
  if (!bases.empty()) inherit(root, bases, {file_});
  root_ = std::make_shared<const json>(std::move(root));
}

void ProfileReader::inherit(json& root, const std::string& bases,
                            std::vector<std::shared_ptr<const JsonFile>> below) {
  if (!root.contains("base")) return;
  const json name = root["base"];
  root.erase("base");
  const auto wrong = [&](const std::string& what) { below.back()->fail("/base", what); };
  if (!name.is_string()) wrong("expected the name of a profile, found " + dump(name));
  const auto base = name.get<std::string>();
  const std::string path = fmt::format("{}/{}.json", bases, base);
  if (base.find('/') != std::string::npos || !std::filesystem::exists(path)) {
    std::vector<std::string> known;
    for (const auto& entry : std::filesystem::directory_iterator(bases)) {
      if (entry.path().extension() == ".json") known.push_back(entry.path().stem().string());
    }
    std::sort(known.begin(), known.end());
    wrong(fmt::format("'{}' is not a profile{}", base, suggest(base, known)));
  }
  for (const auto& file : below) {
    if (std::filesystem::equivalent(file->path(), path)) {
      wrong(fmt::format("'{}' is based on this profile", base));
    }
  }
  const auto file = std::make_shared<const JsonFile>(path);
  const json& whole = file->root();
  if (!whole.is_object()) file->fail("/", "expected an object with a name");
  for (const auto& [group, members] : whole.items()) {
    if (!members.is_object() || (root.contains(group) && !root[group].is_object())) continue;
    for (const auto& [key, entry] : members.items()) {
      if (root[group].contains(key)) continue;
      json& copy = root[group][key] = entry;
      if (copy.is_object() && copy.contains("source") && copy["source"].is_string()) {
        copy["source"] = fmt::format("as {}: {}", base, copy["source"].get<std::string>());
      }
      inherited_[fmt::format("/{}/{}", group, key)] = file;
    }
  }
  if (whole.contains("base")) root["base"] = whole["base"];
  below.push_back(file);
  inherit(root, bases, std::move(below));
}

void ProfileReader::set(const std::vector<Setting>& settings, bool beyond_ranges) {
  if (settings.empty()) return;
  json root = *root_;
  for (const Setting& setting : settings) {
    json& entry = entry_of(root, setting, file_->path());
    const json value = json::parse(setting.value);
    if (!beyond_ranges && value.is_number() && entry.contains("range")) {
      const json& range = entry["range"];
      if (range.is_array() && range.size() == 2 && (value < range[0] || value > range[1])) {
        throw InputError(
            fmt::format("{}: outside its range of {} to {} in {}; --beyond-ranges allows it",
                        setting.origin, dump(range[0]), dump(range[1]), file_->path()));
      }
    }
    entry = {{"value", value}, {"source", setting.origin}, {"confidence", "set"}};
  }
  set_ += origins_of(settings);
  root_ = std::make_shared<const json>(std::move(root));
}

std::string ProfileReader::text(const char* key) const { return file_->root().value(key, ""); }

void ProfileReader::fail(const std::string& pointer, const std::string& what) const {
  // The file to mend is the one that has the entry: its pointer is the first two names.
  const std::size_t group = pointer.find('/', 1);
  const std::size_t name = group == std::string::npos ? group : pointer.find('/', group + 1);
  const auto at = inherited_.find(pointer.substr(0, name));
  (at == inherited_.end() ? file_ : at->second)->fail(pointer, what + set_);
}

const json& ProfileReader::value(const std::string& group, const std::string& name) {
  known_[group].push_back(name);
  const std::string pointer = "/" + group + "/" + name;
  const json& root = *root_;
  if (!root.contains(group) || !root[group].contains(name)) fail(pointer, "missing");
  const json& at = root[group][name];
  for (const char* key : {"value", "source", "confidence"}) {
    if (!at.is_object() || !at.contains(key)) {
      fail(pointer, "expected an object with value, source and confidence");
    }
  }
  note(group, name);
  return at["value"];
}

// Keeps what the file says of a number besides its value, and checks it.
void ProfileReader::note(const std::string& group, const std::string& name) {
  const json& at = (*root_)[group][name];
  const std::string pointer = "/" + group + "/" + name;
  ProfileEntry entry{group, name, {}, {}, {}, {}};
  for (const auto& [key, text] : at.items()) {
    if (key == "value" || key == "range") continue;
    if (key != "source" && key != "confidence") {
      fail(pointer + "/" + key,
           "unknown name" + suggest(key, {"value", "source", "confidence", "range"}));
    }
    if (!text.is_string()) fail(pointer + "/" + key, "expected a string, found " + dump(text));
  }
  entry.value = at["value"].is_string() ? at["value"].get<std::string>() : dump(at["value"]);
  entry.source = at["source"].get<std::string>();
  entry.confidence = at["confidence"].get<std::string>();
  if (std::find(kConfidences.begin(), kConfidences.end(), entry.confidence) == kConfidences.end()) {
    fail(pointer + "/confidence", fmt::format("'{}' is not a confidence{}", entry.confidence,
                                              suggest(entry.confidence, kConfidences)));
  }
  if (at["value"].is_number() && at["value"] < 0) {
    fail(pointer + "/value", "must not be negative");
  }
  // A value that is no number is for the caller to judge, who knows what it should be.
  if (at.contains("range") && at["value"].is_number()) {
    const json& range = at["range"];
    if (!range.is_array() || range.size() != 2 || !range[0].is_number() || !range[1].is_number() ||
        range[0] > at["value"] || range[1] < at["value"] || range[0] < 0) {
      fail(pointer + "/range", "expected two numbers with the value between them");
    }
    entry.range.emplace(range[0].get<double>(), range[1].get<double>());
  } else if (ranges_ == Ranges::kOfGuesses && at["value"].is_number() &&
             (entry.confidence == "estimated" || entry.confidence == "fitted")) {
    fail(pointer + "/range", "missing: a number that is " + entry.confidence + " needs a range");
  }
  entries_.push_back(std::move(entry));
}

double ProfileReader::number(const std::string& group, const std::string& name) {
  const double number = written(group, name);
  const auto& range = entries_.back().range;
  if (!random_ || !range) return number;
  // 53 bits: std::uniform_real_distribution differs between libraries.
  const double part = static_cast<double>((*random_)() >> 11) * 0x1p-53;
  // As often below the number as above it, however far from the middle of its range it stands:
  // a uniform draw from 0.7 to 60 around 12 would say that 12 is nearly the least that is possible.
  return part < 0.5 ? range->first + (number - range->first) * 2 * part
                    : number + (range->second - number) * (2 * part - 1);
}

double ProfileReader::written(const std::string& group, const std::string& name) {
  const json& at = value(group, name);
  const std::string pointer = fmt::format("/{}/{}/value", group, name);
  if (!at.is_number()) fail(pointer, "expected a number, found " + dump(at));
  return at.get<double>();
}

unsigned ProfileReader::count(const std::string& group, const std::string& name, unsigned least) {
  const double n = written(group, name);
  if (n < least || n != std::floor(n) || n > 1e6) {
    fail(fmt::format("/{}/{}/value", group, name),
         fmt::format("expected a whole number from {} to 1,000,000", least));
  }
  return static_cast<unsigned>(n);
}

bool ProfileReader::flag(const std::string& group, const std::string& name) {
  const json& at = value(group, name);
  if (!at.is_boolean()) fail(fmt::format("/{}/{}/value", group, name), "expected true or false");
  return at.get<bool>();
}

std::size_t ProfileReader::choice(const std::string& group, const std::string& name,
                                  const std::vector<std::string>& choices) {
  const json& at = value(group, name);
  const std::string given = at.is_string() ? at.get<std::string>() : dump(at);
  const auto found = std::find(choices.begin(), choices.end(), given);
  if (found == choices.end()) {
    fail(fmt::format("/{}/{}/value", group, name),
         fmt::format("'{}' is not a choice{}", given, suggest(given, choices)));
  }
  return static_cast<std::size_t>(found - choices.begin());
}

void ProfileReader::refuse_unknown() const {
  std::vector<std::string> groups = {"$schema", "name", "description"};
  for (const auto& [group, unused] : known_) groups.push_back(group);
  for (const auto& [group, members] : root_->items()) {
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) {
      fail("/" + group, "unknown name" + suggest(group, groups));
    }
    if (!members.is_object()) continue;
    const std::vector<std::string>& names = known_.at(group);
    for (const auto& [key, unused] : members.items()) {
      if (std::find(names.begin(), names.end(), key) == names.end()) {
        fail("/" + group + "/" + key, "unknown name" + suggest(key, names));
      }
    }
  }
}

}  // namespace kpksim
