// kpksim completion: scripts for shells, which ask `kpksim completion next` at each key. So there
// is no list but the tables that the program itself reads, and what is installed is what is
// offered.

#include <fmt/core.h>

#include <algorithm>
#include <iostream>

#include "app/command_line.h"
#include "app/commands.h"
#include "sim/base/error.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using Arguments = std::vector<std::string>;

// A word, and after a tab what it is. A line of its own says that names of files fit, too.
constexpr const char* kFiles = ":files";

// bash cuts words at '=' and ':', which are in policies, settings and options: the script cuts the
// line itself, and gives back what stands behind the last one of them.
constexpr const char* kBash = R"(# bash completion of kpksim: made by kpksim completion bash
_kpksim() {
  local line=${COMP_LINE:0:COMP_POINT} words word last part
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  last=${words[-1]}
  [[ $last == --*=* ]] && words[-1]=${last%%=*} && words+=("${last#*=}")
  part=${last%"${last##*[:=]}"}
  [[ $COMP_WORDBREAKS == *:* || $part == *= ]] || part=
  [[ $last == --*=* && $part == "${last%%=*}=" ]] && part=
  COMPREPLY=()
  while IFS= read -r word; do
    if [[ $word == :files ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${words[-1]}")
    else
      word=${word%%$'\t'*}
      COMPREPLY+=("${word#"$part"}")
    fi
  done < <("${words[0]}" completion next "${words[@]:1}" 2>/dev/null)
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:/,] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _kpksim kpksim
)";

constexpr const char* kZsh = R"(#compdef kpksim
# zsh completion of kpksim: made by kpksim completion zsh
_kpksim() {
  local line files=0
  local -a before described whole half
  before=("${(@)words[2,CURRENT]}")
  if [[ ${before[-1]} == --*=* ]]; then
    compset -P '--[^=]#='
    before=("${(@)before[1,-2]}" "${words[CURRENT]%%=*}" "${words[CURRENT]#*=}")
  fi
  while IFS= read -r line; do
    if [[ $line == :files ]]; then files=1; continue; fi
    if [[ ${line%%$'\t'*} == *[=:/,] ]]; then half+=("${line%%$'\t'*}"); continue; fi
    described=("${line//:/\\:}")
    whole+=("${described[1]/$'\t'/:}")
  done < <(${words[1]} completion next "${(@)before}" 2>/dev/null)
  (( $#whole )) && _describe kpksim whole
  (( $#half )) && compadd -S '' -a half
  (( files )) && _files
  return 0
}
if [[ ${funcstack[1]} == _kpksim ]]; then _kpksim "$@"; else compdef _kpksim kpksim; fi
)";

constexpr const char* kFish = R"(# fish completion of kpksim: made by kpksim completion fish
function __kpksim_next
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l option ""
    if string match -qr -- '^--[^=]*=' $current
        set option (string replace -r '=.*' '=' -- $current)
        set words $words (string replace -r '=.*' '' -- $current)
        set current (string replace -r '^[^=]*=' '' -- $current)
    end
    for line in (command $words[1] completion next $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path $current
        else
            printf '%s\n' $option$line
        end
    end
end
complete -c kpksim -f -a '(__kpksim_next)'
)";

void offer(const std::string& begun, const std::string& word, const std::string& does = "") {
  if (!word.starts_with(begun)) return;
  const std::string first = does.substr(0, does.find_first_of("\n;"));
  std::cout << word << (first.empty() ? "" : "\t" + first) << "\n";
}

void offer(const std::string& begun, const Completed* completed) {
  if (completed == nullptr) return;
  for (const std::string& word : completed->words(begun)) offer(begun, word);
  if (completed->files()) std::cout << kFiles << "\n";
}

const OptionText* option_of(const Described& described, const std::string& word) {
  const auto named = std::find_if(described.options.begin(), described.options.end(),
                                  [&](const OptionText& option) {
                                    return word == "--" + option.name ||
                                           (!option.letter.empty() && word == "-" + option.letter);
                                  });
  return named == described.options.end() ? nullptr : &*named;
}

// A value follows the last of `words`; nothing otherwise.
const OptionText* open_option(const Described& described, const Arguments& words) {
  if (words.empty()) return nullptr;
  const OptionText* const option = option_of(described, words.back());
  return option != nullptr && !option->value.empty() ? option : nullptr;
}

// How many of the words are arguments without a name.
std::size_t unnamed_in(const Described& described, const Arguments& words) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const OptionText* const option = option_of(described, words[i]);
    if (option != nullptr && !option->value.empty()) ++i;
    if (option == nullptr && !words[i].starts_with("-")) ++n;
  }
  return n;
}

// What fits `begun` after the words of a command.
void next_in(const CommandInfo& command, const Arguments& words, const std::string& begun) {
  if (words.empty()) {
    for (const CommandInfo& part : command.parts) offer(begun, part.name, part.does);
  }
  if (command.only_parts) return;
  const Described described = describe(command.run);
  if (const OptionText* const option = open_option(described, words)) {
    offer(begun, option->completed);
    return;
  }
  if (begun.starts_with("-")) {
    for (const OptionText& option : described.options)
      offer(begun, "--" + option.name, option.description);
    return;
  }
  const std::size_t place = unnamed_in(described, words);
  if (place < described.unnamed.size()) {
    offer(begun, described.unnamed[place]);
  } else if (described.last_unnamed_repeats) {
    offer(begun, described.unnamed.back());
  }
}

// What may stand in the place of the last of `words`, which is begun and may be empty.
void next(Arguments words) {
  const std::string begun = words.empty() ? "" : words.back();
  if (!words.empty()) words.pop_back();
  if (words.empty() || (words.size() == 1 && words[0] == "help")) {
    for (const CommandInfo& command : commands()) offer(begun, command.name, command.does);
    if (!words.empty()) return;
    offer(begun, "help", "the options of a command");
    offer(begun, "--version", "version, compiler, build type and folder of data");
    return;
  }
  const CommandInfo* command = &command_named(words[0]);
  words.erase(words.begin());
  for (const CommandInfo& part : command->parts) {
    if (words.empty() || words[0] != part.name) continue;
    next_in(part, {words.begin() + 1, words.end()}, begun);
    return;
  }
  next_in(*command, words, begun);
}

struct Shell {
  const char *name, *script;
};
constexpr Shell kShells[] = {{"bash", kBash}, {"zsh", kZsh}, {"fish", kFish}};

}  // namespace

int completion(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments[0] == "next") {
    next({arguments.begin() + 1, arguments.end()});
    return 0;
  }
  std::vector<std::string> known;
  for (const Shell& shell : kShells) known.emplace_back(shell.name);
  std::string name;
  po::options_description options(
      "kpksim completion bash|zsh|fish\n"
      "kpksim completion next WORD...\n"
      "A script that completes kpksim's commands, options and names. It asks the second form, "
      "which\n"
      "says what may stand in the place of the last WORD");
  constexpr const char* kExamples =
      "  source <(kpksim completion bash)\n"
      "  kpksim completion fish >~/.config/fish/completions/kpksim.fish\n";
  if (!read_command_line(arguments, options, kExamples,
                         {{"shell", text_option("completion", name, only(known)), 1}}))
    return 0;
  for (const Shell& shell : kShells) {
    if (name != shell.name) continue;
    std::cout << shell.script;
    return 0;
  }
  throw InputError(
      fmt::format("completion: '{}' is no shell that it knows{}", name, suggest(name, known)));
}

}  // namespace kpksim::app
