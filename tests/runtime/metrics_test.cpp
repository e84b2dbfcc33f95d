#include "runtime/train/metrics.h"

#include "ir/support/error.h"
#include "runtime/train/numbers.h"
#include "tests/runtime/child_process.h"
#include "tests/runtime/temporary_folder.h"

#include <sys/resource.h>

#include <cmath>
#include <cstring>
#include <random>

namespace netc {
namespace {

const std::string header =
    "step,epoch,rate,train_loss,train_top1,images_per_second,val_loss,val_top1,val_top5";

MetricsRow row_at(int64_t step) {
  MetricsRow row;
  row.step = step;
  row.epoch = static_cast<double>(step) / 10;
  row.rate = 0.01;
  row.train_loss = 2.302585092994046;
  row.images_per_second = 1234.56;
  return row;
}

TEST(Numbers, ReadBackToTheSameBits) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    uint64_t bits = random();
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    std::optional<double> back = parse_double(number_text(value));
    ASSERT_TRUE(back) << number_text(value);
    EXPECT_TRUE(std::isnan(value) ? std::isnan(*back) : std::memcmp(&value, &*back, 8) == 0);
  }
}

TEST(Numbers, AreParsedInFullOnly) {
  EXPECT_EQ(parse_int("-12"), -12);
  EXPECT_EQ(parse_unsigned("18446744073709551615"), 18446744073709551615u);
  for (const char* bad : {"", " 1", "1 ", "+1", "1x", "0x1", "9223372036854775808"})
    EXPECT_FALSE(parse_int(bad)) << bad;
  EXPECT_FALSE(parse_unsigned("-1"));
  EXPECT_FALSE(parse_double("1,5"));
}

TEST(Metrics, LinesAreStable) {
  EXPECT_EQ(metrics_header(), header);
  EXPECT_EQ(metrics_line(row_at(3)), "3,0.3,0.01,2.302585092994046,,1234.6,,,");
  MetricsRow validation;
  validation.step = 10;
  validation.epoch = 1;
  validation.val_loss = NAN;
  validation.val_top1 = 0;
  validation.val_top5 = 0.5;
  EXPECT_EQ(metrics_line(validation), "10,1,,,,,nan,0,0.5");
}

TEST(Metrics, EachRowIsInTheFileAtOnce) {
  TemporaryFolder folder;
  MetricsWriter writer = MetricsWriter::create(folder / "m");
  EXPECT_EQ(read_file(folder / "m"), header + "\n");
  writer.append(row_at(1));
  EXPECT_EQ(read_file(folder / "m"), header + "\n" + metrics_line(row_at(1)) + "\n");
}

TEST(Metrics, CreateNeverReplaces) {
  TemporaryFolder folder;
  write_file_atomically(folder / "m", "precious");
  EXPECT_THROW(MetricsWriter::create(folder / "m"), std::runtime_error);
  EXPECT_EQ(read_file(folder / "m"), "precious");
}

TEST(Metrics, ResumeDropsLaterRowsAndKeepsTheOthersBytes) {
  TemporaryFolder folder;
  std::string kept = header + "\n1,0.10,0.0100,,,,,,\n2,0.2,,,,,1,,\n2,0.2,,,,,,,\n";
  write_file_atomically(folder / "m", kept + "3,0.3,,,,,,,\n4,0.4,,,,,,,\n5,0.5,,,,");
  MetricsWriter writer = MetricsWriter::resume(folder / "m", 2);
  EXPECT_EQ(read_file(folder / "m"), kept);
  writer.append(row_at(3));
  EXPECT_EQ(read_file(folder / "m"), kept + metrics_line(row_at(3)) + "\n");
}

TEST(Metrics, ResumeOfTheSameRunGivesTheSameFile) {
  TemporaryFolder folder;
  {
    MetricsWriter writer = MetricsWriter::create(folder / "straight");
    for (int64_t step = 1; step <= 9; ++step)
      writer.append(row_at(step));
  }
  for (int64_t stop = 0; stop <= 9; ++stop) {
    std::filesystem::copy_file(folder / "straight", folder / "resumed",
                               std::filesystem::copy_options::overwrite_existing);
    MetricsWriter writer = MetricsWriter::resume(folder / "resumed", stop);
    for (int64_t step = stop + 1; step <= 9; ++step)
      writer.append(row_at(step));
    EXPECT_EQ(read_file(folder / "resumed"), read_file(folder / "straight"));
  }
}

TEST(Metrics, ResumeCreatesAMissingFile) {
  TemporaryFolder folder;
  MetricsWriter::resume(folder / "m", 7);
  EXPECT_EQ(read_file(folder / "m"), header + "\n");
}

TEST(Metrics, TruncationAnywhereIsReadable) {
  TemporaryFolder folder;
  std::string whole =
      header + "\n" + metrics_line(row_at(1)) + "\n" + metrics_line(row_at(2)) + "\n";
  for (size_t size = 0; size <= whole.size(); ++size) {
    write_file_atomically(folder / "m", whole.substr(0, size));
    size_t rows = read_metrics(folder / "m").size();
    EXPECT_EQ(rows, size == whole.size()                                        ? 2u
                    : size > header.size() + 1 + metrics_line(row_at(1)).size() ? 1u
                                                                                : 0u);
    MetricsWriter::resume(folder / "m", 1);
    EXPECT_EQ(read_metrics(folder / "m").size(), std::min<size_t>(rows, 1));
  }
}

TEST(Metrics, BadFilesAreNamedWithTheLine) {
  TemporaryFolder folder;
  write_file_atomically(folder / "m", "name,age\nx,3\n");
  std::string text = error_of<UserError>([&] { read_metrics(folder / "m"); });
  EXPECT_NE(text.find("m:1:1: error: not a metrics file"), text.npos) << text;
  for (std::string bad :
       {"1,2", "1,x,,,,,,,", ",0.1,,,,,,,", "1,0.1,,,,,,,,", "1,0.1,a,,,,,,", ""}) {
    write_file_atomically(folder / "m", header + "\n1,0.1,,,,,,,\n" + bad + "\n");
    text = error_of<UserError>([&] { read_metrics(folder / "m"); });
    EXPECT_NE(text.find("m:3:1: error: this line is not a row"), text.npos) << text;
    EXPECT_THROW(MetricsWriter::resume(folder / "m", 1), UserError);
  }
}

TEST(Metrics, FullDiskLeavesWholeRows) {
  TemporaryFolder folder;
  EXPECT_EQ(run_child([&] {
              MetricsWriter writer = MetricsWriter::create(folder / "m");
              std::signal(SIGXFSZ, SIG_IGN);
              rlimit limit = {200, 200};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              try {
                for (int64_t step = 1;; ++step)
                  writer.append(row_at(step));
              } catch (const RuntimeError&) {
                return 0;
              }
            }),
            0);
  std::string text = read_file(folder / "m");
  EXPECT_EQ(text.back(), '\n');
  EXPECT_GT(read_metrics(folder / "m").size(), 1u);
}

TEST(Metrics, RowsRoundTrip) {
  TemporaryFolder folder;
  MetricsRow row = row_at(5);
  row.images_per_second = 10.5;
  row.val_top1 = 1.0 / 3;
  row.train_loss = INFINITY;
  MetricsWriter::create(folder / "m").append(row);
  EXPECT_EQ(read_metrics(folder / "m"), std::vector<MetricsRow>{row});
}

} // namespace
} // namespace netc
