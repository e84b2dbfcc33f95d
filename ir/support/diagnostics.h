#pragma once
// Source locations and the collector of the user's errors, rendered with the line and a caret.

#include "ir/support/error.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

/// The text of a file that diagnostics may point into. Shared by every Loc of that file.
struct SourceFile {
  std::string name; ///< As the user named it; never made absolute.
  std::string text;
};

/// A place in a source file: 1-based line and column (bytes); line 0 means "no place".
struct Loc {
  std::shared_ptr<const SourceFile> file;
  int line = 0;
  int column = 0;

  bool known() const { return file != nullptr && line > 0; }
  /// `file:line:column`, `file` when there is no line, or empty when nothing is known.
  std::string str() const;
};

enum class Severity { error, warning, note };

/// One message with the notes that explain it.
struct Diagnostic {
  Severity severity = Severity::error;
  Loc loc;
  std::string message;
  std::vector<Diagnostic> notes;

  /// Attaches a note and returns *this, so that notes chain.
  Diagnostic& note(Loc where, std::string text);
  Diagnostic& note(std::string text) { return note(Loc{}, std::move(text)); }
};

/// Collects the errors and warnings of a phase, so that all of them are shown together.
///
/// Messages are one line, lower case, without a full stop, with names in backticks; control
/// characters in them become `?`. References returned by error() and warning() stay valid until the
/// next call of either.
class Diagnostics {
public:
  Diagnostic& error(Loc loc, std::string message);
  Diagnostic& warning(Loc loc, std::string message);

  bool has_errors() const { return errors_ > 0; }
  int error_count() const { return errors_; }
  const std::vector<Diagnostic>& all() const { return all_; }

  /// All messages, in order: `file:line:col: error: text`, the source line, a caret, the notes.
  std::string render() const;

  /// Throws UserError holding render() if an error has been reported.
  void throw_if_errors() const;

private:
  Diagnostic& add(Severity severity, Loc loc, std::string message);

  std::vector<Diagnostic> all_;
  int errors_ = 0;
};

/// Throws a UserError for one mistake that has no place in a file, e.g. a bad flag or data folder.
/// `hint` becomes a note when not empty.
[[noreturn]] void user_error(std::string message, std::string hint = {});

/// The candidate nearest to `word` by edit distance, or an empty string when none is near enough
/// to be a likely misspelling (at most a third of the letters differ).
std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates);

/// `, did you mean `x`?` for the nearest candidate, or an empty string.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

} // namespace netc
