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

// A result document, or a configuration.
JsonFile read(const std::string& path) {
  JsonFile file(path);
  const bool object = file.root().is_object();
  if (object && file.root().contains("configuration")) return file;
  if (!object || !file.root().contains("runs")) {
    file.fail("", "expected a result (run -o, compare -o) or a configuration (config)");
  }
  validate(file, report::kResultSchema);
  return file;
}

}  // namespace

int diff(const std::vector<std::string>& arguments) {
  std::vector<std::string> files;
  bool phases = false;
  po::options_description options(
      "kpksim diff [options] A.json B.json\n"
      "Two results (run -o, compare -o), or two configurations (config), side by side: what\n"
      "changed in the configuration and in the numbers, A's value, B's, and by how much");
  options.add_options()("phases", po::bool_switch(&phases), "the numbers of phases and cores too");
  if (!read_command_line(arguments, options, "  kpksim diff before.json after.json\n",
                         {{"file", texts_option("FILE", files), -1}}))
    return 0;
  if (files.size() != 2)
    throw InputError(fmt::format("expected two files, found {}", files.size()));
  const JsonFile a = read(files[0]), b = read(files[1]);
  if (a.root().contains("runs") != b.root().contains("runs")) {
    throw InputError(
        fmt::format("{} and {}: one is a result, the other a configuration", files[0], files[1]));
  }
  const auto ordered = [](const JsonFile& file) {
    return nlohmann::ordered_json::parse(file.root().dump());
  };
  const std::string text = report::differences(ordered(a), ordered(b), phases);
  std::cout << (text.empty() ? "no difference\n" : text);
  return 0;
}

}  // namespace kpksim::app
