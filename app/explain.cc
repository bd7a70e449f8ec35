// kpksim explain: where the cycles of the difference between policies went.

#include "sim/report/explain.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/options.h"
#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/report/schema.h"

namespace kpksim::app {
namespace po = boost::program_options;

int explain(const std::vector<std::string>& arguments) {
  po::options_description options(
      "kpksim explain [options] RESULT [PHASE]\n"
      "Where the cycles of the difference between policies went, or those of the one policy of\n"
      "a kpksim run. RESULT is a document that compare or run wrote (-o); without PHASE, the\n"
      "whole workload");
  std::string file;
  report::ExplainRequest request;
  options.add_options()(
      "from", text_option("--from", request.from),
      "the policy that is compared with, e.g. none,buddy,pte; default: the first of RESULT")(
      "to", texts_option("--to", request.to),
      "a policy to explain; repeatable; default: all others of RESULT");
  constexpr const char* kExamples =
      "  kpksim compare -o result.json fork-1g; kpksim explain result.json\n"
      "  kpksim explain --to kpkeys-poe,per-page,pte result.json fork\n";
  if (!read_command_line(arguments, options, kExamples,
                         {{"file", text_option("RESULT", file), 1},
                          {"phase", text_option("PHASE", request.phase), 1}}))
    return 0;
  if (file.empty()) throw InputError("no result given; kpksim compare -o writes one");
  const nlohmann::ordered_json document = read_json_document(file, report::kResultSchema).root();
  try {
    std::cout << report::explain(document, request, terminal_style());
  } catch (const InputError& e) {
    throw InputError(file + ": " + e.what());
  }
  return 0;
}

}  // namespace kpksim::app
