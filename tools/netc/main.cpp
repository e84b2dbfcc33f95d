// The `netc` command: reads flags, calls one command, turns failures into messages and exit codes.

#include "tools/netc/command.h"

#include <csignal>
#include <iostream>

namespace {

/// The command that the arguments name: `netc data info x` is `info`.
std::vector<CLI::App*> named_commands(CLI::App& app) {
  std::vector<CLI::App*> chain = {&app};
  while (!chain.back()->get_subcommands().empty())
    chain.push_back(chain.back()->get_subcommands().front());
  return chain;
}

/// `, did you mean ...?` for a word that is no command or no flag of `command`.
std::string suggestion(const CLI::App& command, const std::string& word) {
  std::vector<std::string> known;
  if (word.starts_with("-"))
    for (const CLI::Option* option : command.get_options())
      for (const std::string& name : option->get_lnames())
        known.push_back("--" + name);
  else
    for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; }))
      known.push_back(sub->get_name());
  return netc::did_you_mean(word, known);
}

/// What is wrong with the command line, in the form of all other errors.
[[noreturn]] void report(CLI::App& app, const CLI::ParseError& error,
                         const std::vector<std::string>& words) {
  std::vector<CLI::App*> chain = named_commands(app);
  const CLI::App& command = *chain.back();
  std::vector<std::string> left = app.remaining(true);
  std::string text = error.what(), name = "netc";
  for (size_t i = 1; i < chain.size(); ++i)
    name += " " + chain[i]->get_name();
  if (command.get_require_subcommand_min() > 0 && chain.size() > words.size())
    text = fmt::format("`{}` needs a command", name);
  else if (command.get_require_subcommand_min() > 0)
    text = fmt::format("there is no command `{}`{}", words[chain.size() - 1],
                       suggestion(command, words[chain.size() - 1]));
  else if (dynamic_cast<const CLI::ExtrasError*>(&error) && !left.empty())
    text = fmt::format("unexpected `{}`{}", left.front(), suggestion(command, left.front()));
  if (size_t at = text.find(": 1 required "); at != text.npos)
    text = fmt::format("`{}` needs a value", text.substr(0, at));
  if (size_t at = text.find(": Value "); at != text.npos)
    text.erase(at + 2, 6); // `--batch: 0 not in range ...`
  netc::user_error(text, fmt::format("`{} --help` explains", name));
}

int run(int argc, char** argv) {
  CLI::App app{"netc: a graph compiler that trains convolutional networks"};
  app.set_version_flag("--version", std::string("netc ") + NETC_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  std::function<void()> command;
  for (netc::cli::Register add :
       {netc::cli::add_compile, netc::cli::add_train, netc::cli::add_eval, netc::cli::add_predict,
        netc::cli::add_viz, netc::cli::add_bench, netc::cli::add_partition,
        netc::cli::add_calibrate, netc::cli::add_data, netc::cli::add_lists, netc::cli::add_doctor})
    add(app, command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) // --help, --version
      return app.exit(error);
    report(app, error, {argv + 1, argv + argc});
  }
  command();
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN); // a file that grows too large is an error in words
  try {
    return run(argc, argv);
  } catch (const netc::UserError& error) {
    std::cerr << error.what();
    return 1;
  } catch (const netc::RuntimeError& error) {
    std::cerr << "error: " << error.what() << "\n";
    if (!error.hint().empty())
      std::cerr << "note: " << error.hint() << "\n";
    return 3;
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory\nnote: a smaller batch (`--batch N`) needs less\n";
    return 3;
  } catch (const std::exception& error) {
    std::cerr << "internal error: " << error.what()
              << "\nnote: this is a mistake of netc; please report it with the network file and "
                 "the command line\n";
    return 2;
  }
}
