#include "runtime/train/interrupt.h"

#include "ir/support/error.h"
#include "tests/runtime/child_process.h"

#include <gtest/gtest.h>

#include <string>

namespace netc {
namespace {

TEST(Interrupt, FirstSignalSetsTheFlag) {
  for (int signal : {SIGINT, SIGTERM})
    EXPECT_EQ(run_child([&] {
                InterruptGuard guard(/*announce=*/false);
                if (guard.requested())
                  return 1;
                ::raise(signal);
                return guard.requested() && guard.signal() == signal ? 0 : 2;
              }),
              0);
}

TEST(Interrupt, SecondSignalLeavesAtOnce) {
  EXPECT_EQ(run_child([] {
              InterruptGuard guard(false);
              ::raise(SIGTERM);
              ::raise(SIGINT);
              return 0;
            }),
            130);
}

TEST(Interrupt, AnnouncesOnStderr) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(run_child([&] {
              ::dup2(ends[1], STDERR_FILENO);
              InterruptGuard guard;
              ::raise(SIGINT);
              return 0;
            }),
            0);
  ::close(ends[1]);
  char text[200] = {};
  EXPECT_GT(::read(ends[0], text, sizeof text - 1), 0);
  ::close(ends[0]);
  EXPECT_NE(std::string(text).find("stopping after this step"), std::string::npos);
}

TEST(Interrupt, RestoresTheFormerHandler) {
  EXPECT_EQ(run_child([] {
              { InterruptGuard guard(false); }
              ::raise(SIGINT);
              return 0;
            }),
            -SIGINT);
}

TEST(Interrupt, ASecondGuardStartsAnew) {
  EXPECT_EQ(run_child([] {
              {
                InterruptGuard guard(false);
                ::raise(SIGINT);
              }
              InterruptGuard guard(false);
              if (guard.requested())
                return 1;
              ::raise(SIGINT);
              return guard.requested() ? 0 : 2;
            }),
            0);
}

TEST(Interrupt, IgnoredSignalsStayIgnored) {
  EXPECT_EQ(run_child([] {
              std::signal(SIGINT, SIG_IGN);
              InterruptGuard guard(false);
              ::raise(SIGINT);
              ::raise(SIGINT);
              return guard.requested() ? 1 : 0;
            }),
            0);
}

TEST(Interrupt, TwoAtATimeAreAnInternalError) {
  InterruptGuard guard(false);
  EXPECT_THROW(InterruptGuard(false), InternalError);
}

} // namespace
} // namespace netc
