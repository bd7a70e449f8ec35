// kpksim explain: where the cycles of the difference between policies went.

#include "sim/report/explain.h"

#include <boost/program_options.hpp>
#include <iostream>

#include "app/options.h"
#include "sim/base/error.h"
#include "sim/report/schema.h"
#include "sim/workload/json_document.h"

namespace kpksim::app {
namespace po = boost::program_options;

int explain(const std::vector<std::string>& arguments) {
  po::options_description options(
      "kpksim explain [options] RESULT [PHASE]\n"
      "Where the cycles of the difference between policies went. RESULT is a document that\n"
      "kpksim compare -o wrote; without PHASE, the whole workload");
  std::string file;
  report::ExplainRequest request;
  options.add_options()("help,h", "this text")(
      "from", po::value(&request.from),
      "the policy that is compared with, e.g. none,buddy,pte; default: the first of RESULT")(
      "to", po::value(&request.to)->composing(),
      "a policy to explain; repeatable; default: all others of RESULT");
  po::options_description all;
  all.add(options).add_options()("file", po::value(&file))("phase", po::value(&request.phase));
  po::positional_options_description positional;
  positional.add("file", 1).add("phase", 1);
  po::variables_map values;
  po::store(po::command_line_parser(arguments).options(all).positional(positional).run(), values);
  po::notify(values);
  if (values.count("help") != 0) {
    std::cout << options;
    return 0;
  }
  if (file.empty()) throw InputError("no result given; kpksim compare -o writes one");
  const nlohmann::ordered_json document =
      workload::read_json_document(file, report::kResultSchema).root;
  try {
    std::cout << report::explain(document, request, terminal_style());
  } catch (const InputError& e) {
    throw InputError(file + ": " + e.what());
  }
  return 0;
}

}  // namespace kpksim::app
