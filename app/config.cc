// kpksim config: what a run depends on, and where it is from.

#include <iostream>
#include <nlohmann/json.hpp>

#include "app/configuration.h"
#include "app/options.h"
#include "sim/base/output_file.h"
#include "sim/report/result.h"

namespace kpksim::app {

int config(const std::vector<std::string>& arguments) {
  Request request;
  if (!parse_request(arguments, Command::kConfig, request)) return 0;
  const std::string text = report::document_text(configuration_document(request));
  if (request.output.empty()) {
    std::cout << text;
  } else {
    write_file(request.output, text);
  }
  return 0;
}

}  // namespace kpksim::app
