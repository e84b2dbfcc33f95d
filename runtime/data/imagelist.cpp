#include "ir/support/diagnostics.h"
#include "runtime/data/files.h"
#include "runtime/data/kinds.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace netc::data {

namespace fs = std::filesystem;

namespace {

constexpr int32_t max_label = 1'000'000; // Beyond any class count; catches a wrong column.
constexpr int max_errors = 20;           // One mistake repeated on every line is said enough.

/// `FILE.tsv[,IMAGES_DIR]`, taken apart.
struct ListPath {
  std::string file;
  std::string images;
};

/// Splits at the comma that follows the name of an existing file, so that both names may hold
/// commas; at the first one when there is no such file.
ListPath parse_path(const std::string& path) {
  std::error_code code;
  size_t end = path.size();
  while (end != path.npos && !fs::is_regular_file(path.substr(0, end), code))
    end = end == 0 ? path.npos : path.rfind(',', end - 1);
  if (end == path.npos)
    end = path.find(',');
  if (end < path.size())
    return {path.substr(0, end), path.substr(end + 1)};
  const fs::path parent = fs::path(path).parent_path();
  return {path, parent.empty() ? "." : parent.string()};
}

/// Reads the rows of a list, reporting every bad one with its place.
class ListReader {
public:
  ListReader(std::shared_ptr<const SourceFile> source, FileList& list, Diagnostics& diagnostics)
      : source_(std::move(source)), list_(list), diagnostics_(diagnostics) {}

  void read() {
    std::string_view rest = source_->text;
    if (rest.starts_with("\xEF\xBB\xBF"))
      rest.remove_prefix(3);
    while (!rest.empty() && diagnostics_.error_count() < max_errors) {
      ++line_;
      const size_t end = rest.find('\n');
      std::string_view row = rest.substr(0, end);
      rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
      if (row.ends_with('\r'))
        row.remove_suffix(1);
      if (!row.empty() && row[0] != '#')
        read_row(row);
    }
  }

private:
  void read_row(std::string_view row) {
    const size_t tab1 = row.find('\t');
    const size_t tab2 = tab1 == row.npos ? row.npos : row.find('\t', tab1 + 1);
    if (tab2 == row.npos) {
      error(row.size(),
            fmt::format("{} of 3 columns: file, class name, label", tab1 == row.npos ? 1 : 2))
          .note("columns are separated by tabs");
      return;
    }
    const std::string_view file = row.substr(0, tab1);
    const std::string_view name = row.substr(tab1 + 1, tab2 - tab1 - 1);
    const std::string_view text = row.substr(tab2 + 1, row.find('\t', tab2 + 1) - tab2 - 1);
    int32_t label = -1;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), label);
    if (file.empty())
      error(0, "the file column is empty");
    else if (code == std::errc::invalid_argument || end != text.data() + text.size())
      error(tab2 + 1, fmt::format("label `{}` is not a number", printable(text)));
    else if (code != std::errc{} || label < 0 || label > max_label)
      error(tab2 + 1, fmt::format("label `{}` is not within 0..{}", printable(text), max_label));
    else
      add(file, name, label);
  }

  void add(std::string_view file, std::string_view name, int32_t label) {
    if (list_.class_names.size() <= static_cast<size_t>(label))
      list_.class_names.resize(label + 1);
    if (list_.class_names[label].empty())
      list_.class_names[label] = name;
    list_.train.push_back({std::string(file), label});
  }

  Diagnostic& error(size_t offset, std::string message) {
    return diagnostics_.error({source_, line_, static_cast<int>(offset) + 1}, std::move(message));
  }

  std::shared_ptr<const SourceFile> source_;
  FileList& list_;
  Diagnostics& diagnostics_;
  int line_ = 0;
};

/// Throws UserError when listed files do not exist: their number and the first three.
void require_files(const FileList& list, const ListPath& path) {
  std::vector<std::string> missing;
  int64_t count = 0;
  for (const LabelledFile& file : list.train) {
    std::error_code code;
    if (!fs::is_regular_file(fs::path(list.root) / file.path, code) && ++count <= 3)
      missing.push_back(file.path);
  }
  if (count > 0)
    user_error(fmt::format("{} of the {} files listed in `{}` are not in `{}`: {}", count,
                           list.train.size(), printable(path.file), printable(list.root),
                           first_three(missing, count)),
               "the folder of the images follows a comma: `imagelist:FILE.tsv,IMAGES_DIR`");
}

} // namespace

std::unique_ptr<Dataset> open_imagelist(const std::string& path, const StoredFormat& format) {
  const ListPath parsed = parse_path(path);
  std::vector<uint8_t> bytes;
  std::string why;
  if (!read_file(parsed.file, bytes, why))
    user_error(fmt::format("cannot read the list `{}`: {}", printable(parsed.file), why),
               "usage: `imagelist:FILE.tsv[,IMAGES_DIR]`");
  require_folder(parsed.images);

  auto source = std::make_shared<SourceFile>();
  source->name = printable(parsed.file);
  source->text.assign(bytes.begin(), bytes.end());
  FileList list;
  list.root = parsed.images;
  Diagnostics diagnostics;
  ListReader(source, list, diagnostics).read();
  diagnostics.throw_if_errors();
  if (list.train.empty())
    user_error(fmt::format("the list `{}` names no images", printable(parsed.file)));
  require_files(list, parsed);
  for (size_t i = 0; i < list.class_names.size(); ++i)
    if (list.class_names[i].empty())
      list.class_names[i] = fmt::format("class {}", i);
  split_every_tenth(list.train, list.validation);
  return make_file_dataset(std::move(list), format);
}

} // namespace netc::data
