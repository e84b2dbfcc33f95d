#include "ir/support/diagnostics.h"

#include <algorithm>
#include <numeric>

namespace netc {

void internal_error(const char* file, int line, const std::string& message) {
  throw InternalError(fmt::format("{}:{}: {}", file, line, message));
}

std::string Loc::str() const {
  if (!file)
    return {};
  return line > 0 ? fmt::format("{}:{}:{}", file->name, line, column) : file->name;
}

Diagnostic& Diagnostic::note(Loc where, std::string text) {
  notes.push_back({Severity::note, std::move(where), std::move(text), {}});
  return *this;
}

Diagnostic& Diagnostics::add(Severity severity, Loc loc, std::string message) {
  // Messages quote what users and libraries wrote: control characters would break the line.
  for (char& c : message)
    if (static_cast<unsigned char>(c) < 32 || c == 127)
      c = '?';
  all_.push_back({severity, std::move(loc), std::move(message), {}});
  return all_.back();
}

Diagnostic& Diagnostics::error(Loc loc, std::string message) {
  ++errors_;
  return add(Severity::error, std::move(loc), std::move(message));
}

Diagnostic& Diagnostics::warning(Loc loc, std::string message) {
  return add(Severity::warning, std::move(loc), std::move(message));
}

namespace {

std::string_view severity_name(Severity severity) {
  switch (severity) {
  case Severity::error:
    return "error";
  case Severity::warning:
    return "warning";
  case Severity::note:
    return "note";
  }
  return "error";
}

/// The text of line `number` without its end, cut to what fits a terminal; control bytes and bytes
/// outside ASCII that could garble a terminal become '?'.
std::string source_line(const SourceFile& file, int number) {
  size_t begin = 0;
  for (int i = 1; i < number; ++i) {
    size_t end = file.text.find('\n', begin);
    if (end == std::string::npos)
      return {};
    begin = end + 1;
  }
  size_t end = std::min(file.text.find('\n', begin), file.text.size());
  std::string line = file.text.substr(begin, std::min<size_t>(end - begin, 160));
  for (char& c : line)
    if (c == '\t')
      c = ' ';
    else if (static_cast<unsigned char>(c) < 32 || c == 127)
      c = '?';
  return line;
}

void render_one(std::string& out, const Diagnostic& d) {
  std::string where = d.loc.str();
  out += fmt::format("{}{}{}: {}\n", where, where.empty() ? "" : ": ", severity_name(d.severity),
                     d.message);
  if (d.loc.known()) {
    std::string line = source_line(*d.loc.file, d.loc.line);
    size_t column = static_cast<size_t>(std::max(d.loc.column, 1));
    if (!line.empty() && column <= line.size() + 1)
      out += fmt::format("  {}\n  {}^\n", line, std::string(column - 1, ' '));
  }
  for (const Diagnostic& note : d.notes)
    render_one(out, note);
}

} // namespace

std::string Diagnostics::render() const {
  std::string out;
  for (const Diagnostic& d : all_)
    render_one(out, d);
  return out;
}

void Diagnostics::throw_if_errors() const {
  if (has_errors())
    throw UserError(render());
}

void user_error(std::string message, std::string hint) {
  Diagnostics diagnostics;
  Diagnostic& d = diagnostics.error(Loc{}, std::move(message));
  if (!hint.empty())
    d.note(std::move(hint));
  throw UserError(diagnostics.render());
}

std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    // Levenshtein distance, one row at a time.
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0]++;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        size_t substitute = diagonal + (word[i - 1] != candidate[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  std::string nearest = nearest_word(word, candidates);
  return nearest.empty() ? std::string{} : fmt::format(", did you mean `{}`?", nearest);
}

} // namespace netc
