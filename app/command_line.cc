#include "app/command_line.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>
#include <charconv>
#include <iostream>
#include <sstream>
#include <thread>

#include "sim/base/error.h"

namespace boost::program_options {
template class typed_value<bool>;
template class typed_value<unsigned>;
template class typed_value<std::string>;
template void typed_value<std::vector<std::string>>::xparse(boost::any&,
                                                            const std::vector<std::string>&) const;
}  // namespace boost::program_options

namespace kpksim::app {

namespace po = boost::program_options;

namespace {

constexpr unsigned kMaxJobs = 1024;

std::vector<std::string> names_of(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return names;
}

std::uint64_t parse_whole(const char* option, const std::string& text, std::uint64_t least,
                          std::uint64_t most) {
  std::uint64_t n = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, n);
  if (error != std::errc{} || rest != end || n < least || n > most) {
    throw InputError(
        fmt::format("{}: '{}' is not a whole number from {} to {}", option, text, least, most));
  }
  return n;
}

void refuse_empty(const char* option, const std::string& text) {
  if (text.empty()) throw InputError(fmt::format("{}: '' is empty; expected a value", option));
}

}  // namespace

bool read_command_line(const std::vector<std::string>& arguments, po::options_description& options,
                       const char* examples, std::initializer_list<Unnamed> unnamed,
                       std::set<std::string>* given) {
  options.add_options()("help,h", "this text");
  po::options_description all;
  all.add(options);
  po::positional_options_description positional;
  for (const Unnamed& u : unnamed) {
    all.add_options()(u.name, u.value);
    positional.add(u.name, u.most);
  }
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments).options(all).positional(positional).run(), values);
  } catch (const po::unknown_option& e) {
    throw InputError(fmt::format("'{}' is not an option{}", e.get_option_name(),
                                 suggest(e.get_option_name(), names_of(options))));
  } catch (const po::too_many_positional_options_error&) {
    throw InputError("too many arguments; --help says what is expected");
  }
  if (values.count("help") != 0) {
    std::ostringstream text;
    text << options;  // its caption, a colon, and a line for each option, indented
    std::string help = text.str();
    help.replace(help.find(":\n  -"), 1, "\n\nOptions:");
    std::cout << help << "\nExamples:\n" << examples;
    return false;
  }
  po::notify(values);
  for (const auto& [name, value] : values) {
    if (given != nullptr && !value.defaulted()) given->insert(name);
  }
  return true;
}

TextOption* number_option(const char* option, std::uint64_t& target, std::uint64_t least,
                          std::uint64_t most) {
  return po::value<std::string>()->notifier(
      [=, &target](const std::string& text) { target = parse_whole(option, text, least, most); });
}

TextOption* number_option(const char* option, unsigned& target, unsigned least, unsigned most) {
  return po::value<std::string>()->notifier([=, &target](const std::string& text) {
    target = static_cast<unsigned>(parse_whole(option, text, least, most));
  });
}

TextOption* text_option(const char* option, std::string& target) {
  return po::value(&target)->notifier([=](const std::string& text) { refuse_empty(option, text); });
}

TextsOption* texts_option(const char* option, std::vector<std::string>& target) {
  return po::value(&target)->composing()->notifier([=](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) refuse_empty(option, text);
  });
}

TextOption* jobs_option(unsigned& target) {
  return number_option("--jobs", target, 1, kMaxJobs)
      ->default_value(std::to_string(std::max(1u, std::thread::hardware_concurrency())));
}

void check_choice(const char* option, const std::string& given,
                  const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), given) != known.end()) return;
  throw InputError(fmt::format("{}: '{}' is not known{}", option, given, suggest(given, known)));
}

}  // namespace kpksim::app
