// kpksim diff: two documents side by side.

#include "sim/report/diff.h"

#include <fmt/core.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/options.h"
#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/report/schema.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;

// Documents that can be compared, in words: one is told apart by a member that it alone has.
struct ReadKind {
  const char* member;
  const char* name;
  const char* schema;  // none: a configuration is read by those who run it
};
constexpr const char* kExpected =
    "expected a result (run -o, compare -o), one of keys (keys -o) or a configuration (config)";

const ReadKind& read_kind_of(const JsonFile& file) {
  static const ReadKind all[] = {{"configuration", "configuration", nullptr},
                                 {"rows", "document of keys", report::kKeysSchema},
                                 {"runs", "result", report::kResultSchema}};
  // A document of keys says its configuration too.
  const auto has = [&](const char* member) {
    return file.root().is_object() && file.root().contains(member);
  };
  if (has("rows")) return all[1];
  if (has("runs")) return all[2];
  if (has("configuration")) return all[0];
  file.fail("", kExpected);
}

JsonFile read(const std::string& path) {
  JsonFile file(path);
  if (const ReadKind& kind = read_kind_of(file); kind.schema != nullptr)
    check_schema(file, kind.schema);
  return file;
}

}  // namespace

int diff(const std::vector<std::string>& arguments) {
  std::vector<std::string> files;
  bool phases = false;
  po::options_description options(
      "kpksim diff [options] A.json B.json\n"
      "Two results (run -o, compare -o), two documents of keys (keys -o) or two configurations\n"
      "(config), side by side: what changed in the configuration and in the numbers, A's value,\n"
      "B's, and by how much");
  options.add_options()("phases", po::bool_switch(&phases),
                        "the numbers of phases and cores, or of contexts, too");
  if (!read_command_line(arguments, options, "  kpksim diff before.json after.json\n",
                         {{"file", texts_option("FILE", files), -1}}))
    return 0;
  if (files.size() != 2)
    throw InputError(fmt::format("expected two files, found {}", files.size()));
  const JsonFile a = read(files[0]), b = read(files[1]);
  if (&read_kind_of(a) != &read_kind_of(b)) {
    throw InputError(fmt::format("{} and {}: one is a {}, the other a {}", files[0], files[1],
                                 read_kind_of(a).name, read_kind_of(b).name));
  }
  const auto ordered = [](const JsonFile& file) {
    return nlohmann::ordered_json::parse(file.root().dump());
  };
  const std::string text = report::differences(ordered(a), ordered(b), phases);
  std::cout << (text.empty() ? "no difference\n" : text);
  return 0;
}

}  // namespace kpksim::app
