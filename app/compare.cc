// kpksim run and kpksim compare: one workload under one or several policies.

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <iostream>

#include "app/options.h"
#include "sim/base/error.h"
#include "sim/workload/size.h"

namespace kpksim::app {
namespace po = boost::program_options;

int compare(const std::vector<std::string>& arguments, bool single) {
  po::options_description options(single ? "kpksim run [options] WORKLOAD"
                                         : "kpksim compare [options] WORKLOAD...");
  std::vector<std::string> policies, files;
  std::string core, memory, output, format;
  unsigned cores = 1;
  options.add_options()("help,h", "this text")(
      "policy,p", po::value(&policies)->composing(),
      "protection[+batch],allocator,linear-map (repeatable; default: all of 'list policies')")(
      "core", po::value(&core)->default_value("neoverse-v1"), "core profile")(
      "cores", po::value(&cores)->default_value(1), "number of cores")(
      "memory", po::value(&memory)->default_value("8G"), "physical memory")(
      "output,o", po::value(&output), "write the full JSON document to this file")(
      "format", po::value(&format)->default_value("table"), "table, json or csv");
  po::options_description all;
  all.add(options).add_options()("file", po::value(&files));
  po::positional_options_description positional;
  positional.add("file", -1);
  po::variables_map values;
  po::store(po::command_line_parser(arguments).options(all).positional(positional).run(), values);
  po::notify(values);
  if (values.count("help") != 0) {
    std::cout << options;
    return 0;
  }
  if (files.empty()) throw InputError("no workload given; see kpksim list workloads");
  if (format != "table" && format != "json" && format != "csv") {
    throw InputError(
        fmt::format("'{}' is not a format{}", format, suggest(format, {"table", "json", "csv"})));
  }
  if (policies.empty()) policies = default_policies();
  if (single) policies.resize(1);
  const cpu::CoreProfile profile =
      cpu::read_core_profile(data_path("profiles/cores/" + core + ".json"));
  std::vector<kernel::Config> configs;
  for (const std::string& policy : policies) {
    configs.push_back(parse_policy(policy));
    configs.back().cores = cores;
    configs.back().memory_bytes = workload::parse_size(memory, "--memory");
    kernel::check(configs.back());
  }
  nlohmann::ordered_json documents = nlohmann::ordered_json::array();
  std::string text;
  for (const std::string& file : files) {
    const workload::Workload workload = read_workload(file);
    std::vector<nlohmann::ordered_json> runs;
    for (std::size_t i = 0; i < configs.size(); ++i) {
      runs.push_back(run(workload, profile, configs[i], policies[i]));
    }
    documents.push_back(report::compare_document(runs));
    if (format == "table") text += report::table(documents.back()) + "\n";
    if (format == "csv") text += report::csv(documents.back());
  }
  const nlohmann::ordered_json& document = documents.size() == 1 ? documents[0] : documents;
  if (format == "json") text = document.dump(2) + "\n";
  if (!output.empty()) report::write_file(output, document.dump(2) + "\n");
  std::cout << text;
  return 0;
}

}  // namespace kpksim::app
