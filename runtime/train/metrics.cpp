#include "runtime/train/metrics.h"

#include "ir/support/diagnostics.h"
#include "runtime/train/numbers.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>

namespace netc {

namespace fs = std::filesystem;

namespace {

struct Column {
  const char* name;
  std::optional<double> MetricsRow::*value;
};

/// What follows step and epoch.
constexpr Column columns[] = {
    {"rate", &MetricsRow::rate},
    {"train_loss", &MetricsRow::train_loss},
    {"train_top1", &MetricsRow::train_top1},
    {"images_per_second", &MetricsRow::images_per_second},
    {"val_loss", &MetricsRow::val_loss},
    {"val_top1", &MetricsRow::val_top1},
    {"val_top5", &MetricsRow::val_top5},
};

/// The part of `rest` before the first `separator`, which is removed from `rest` with it.
std::string_view take_until(std::string_view& rest, char separator) {
  size_t end = rest.find(separator);
  std::string_view part = rest.substr(0, end);
  rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
  return part;
}

/// A row of the file, or nothing when the line is malformed.
std::optional<MetricsRow> parse_line(std::string_view line) {
  MetricsRow row;
  size_t commas = 0;
  for (char c : line)
    commas += c == ',';
  std::optional<int64_t> step = parse_int(take_until(line, ','));
  std::optional<double> epoch = parse_double(take_until(line, ','));
  if (commas != std::size(columns) + 1 || !step || !epoch)
    return std::nullopt;
  row.step = *step;
  row.epoch = *epoch;
  for (const Column& column : columns) {
    std::string_view cell = take_until(line, ',');
    if (cell.empty())
      continue;
    row.*column.value = parse_double(cell);
    if (!(row.*column.value))
      return std::nullopt;
  }
  return row;
}

/// Calls `visit(row, line with its end)` for each whole line of a metrics file after the header.
template <typename Visit>
void for_each_row(const fs::path& path, const std::string& text, Visit visit) {
  auto bad = [&](int line, const std::string& message) {
    Diagnostics diagnostics;
    auto source = std::make_shared<SourceFile>(SourceFile{printable(path.string()), text});
    diagnostics.error({source, line, 1}, message)
        .note("restore the file, or move it away and train anew");
    diagnostics.throw_if_errors();
  };
  std::string_view rest(text);
  int number = 0;
  while (rest.find('\n') != rest.npos) {
    std::string_view begin = rest;
    std::string_view line = take_until(rest, '\n');
    ++number;
    if (number == 1) {
      if (line != metrics_header())
        bad(1, fmt::format("not a metrics file, whose first line is `{}`", metrics_header()));
      continue;
    }
    std::optional<MetricsRow> row = parse_line(line);
    if (!row)
      bad(number, "this line is not a row of a metrics file");
    visit(*row, begin.substr(0, line.size() + 1));
  }
  if (number == 0 && !std::string_view(metrics_header()).starts_with(text))
    bad(1, fmt::format("not a metrics file, whose first line is `{}`", metrics_header()));
}

} // namespace

std::string metrics_header() {
  std::string header = "step,epoch";
  for (const Column& column : columns)
    header += fmt::format(",{}", column.name);
  return header;
}

std::string metrics_line(const MetricsRow& row) {
  std::string line = fmt::format("{},{}", row.step, number_text(row.epoch));
  for (const Column& column : columns) {
    line += ',';
    if (const std::optional<double>& value = row.*column.value)
      line += column.value == &MetricsRow::images_per_second ? fmt::format("{:.1f}", *value)
                                                             : number_text(*value);
  }
  return line;
}

MetricsWriter::MetricsWriter(fs::path path) : path_(std::move(path)) {
  file_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file_.valid())
    throw_file_error("write", path_, errno);
}

MetricsWriter MetricsWriter::create(const fs::path& path) {
  // The header arrives with the file: a file without one would not be a metrics file.
  std::error_code code;
  if (fs::exists(fs::symlink_status(path, code)))
    throw_file_error("create", path, EEXIST);
  write_file_atomically(path, metrics_header() + "\n");
  return MetricsWriter(path);
}

MetricsWriter MetricsWriter::resume(const fs::path& path, int64_t step) {
  std::error_code code;
  if (!fs::exists(path, code) && !code)
    return create(path);
  std::string text = read_file(path);
  std::string kept = metrics_header() + "\n";
  for_each_row(path, text, [&](const MetricsRow& row, std::string_view line) {
    if (row.step <= step)
      kept += line;
  });
  if (kept != text)
    write_file_atomically(path, kept);
  return MetricsWriter(path);
}

void MetricsWriter::append(const MetricsRow& row) {
  std::string line = metrics_line(row) + "\n";
  off_t before = ::lseek(file_.get(), 0, SEEK_END);
  if (int code = write_all(file_, line.data(), line.size()); code != 0) {
    if (before >= 0)
      (void)!::ftruncate(file_.get(), before); // Else a half line stays, which readers ignore.
    throw_file_error("write", path_, code);
  }
}

std::vector<MetricsRow> read_metrics(const fs::path& path) {
  std::vector<MetricsRow> rows;
  std::string text = read_file(path);
  for_each_row(path, text, [&](const MetricsRow& row, std::string_view) { rows.push_back(row); });
  return rows;
}

} // namespace netc
