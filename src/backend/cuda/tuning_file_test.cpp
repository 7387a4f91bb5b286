// The file of choices is read strictly: only lines of the right form, and the last one about a problem.
#include "backend/cuda/tuning_file.h"

#include <gmock/gmock.h>
#include <fstream>

#include "base/error.h"

namespace tempera::cuda {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
namespace fs = std::filesystem;

// "card/library/problem: candidate name microseconds"
std::vector<std::string> shown(const std::vector<TuningChoice>& choices) {
  std::vector<std::string> lines;
  lines.reserve(choices.size());
  for (const TuningChoice& c : choices)
    lines.push_back(
        fmt::format("{}/{}/{}: {} {} {}", c.card, c.library, c.problem, c.candidate, c.name, c.microseconds));
  return lines;
}

TEST(TuningFile, KeepsTheLastOfEveryProblemInOrder) {
  EXPECT_THAT(shown(parse_tuning("b\tlib 2\tq\t3\tengine 4\t12.5\n"
                                 "a\tlib 1\tp\t0\tfirst\t1.0\n"
                                 "a\tlib 1\tp\t1\tsecond one\t0.5\n"
                                 "a\tlib 1\to\t0\tfirst\t2\n"
                                 "a\tlib 2\tp\t7\tthird\t0")),  // no line break
              ElementsAre("a/lib 1/o: 0 first 2", "a/lib 1/p: 1 second one 0.5", "a/lib 2/p: 7 third 0",
                          "b/lib 2/q: 3 engine 4 12.5"));
}

TEST(TuningFile, PassesOverWhatIsNoChoice) {
  EXPECT_THAT(parse_tuning(""), IsEmpty());
  EXPECT_THAT(parse_tuning("\n\t\t\t\t\t\n\t\t\n"), IsEmpty());
  EXPECT_THAT(parse_tuning("card cuDNN 9.1 a problem\t3\t12.5\n"), IsEmpty()) << "three fields, an earlier version's";
  for (const std::string line :
       {"c\tl\tp\tx\tn\t1", "c\tl\tp\t-1\tn\t1", "c\tl\tp\t1x\tn\t1", "c\tl\tp\t99999999999999999999\tn\t1",
        "c\tl\tp\t1\tn\t", "c\tl\tp\t1\tn\tnan", "c\tl\tp\t1\tn\tinf", "c\tl\tp\t1\tn\t-1", "c\tl\tp\t1\tn\t1\t",
        "c\tl\tp\t1\t\t1", "c\tl\t\t1\tn\t1", "c\tl\tp\t1\tn\033[2J\t1", "c\tl\tp\t1\tn\t1\r"})
    EXPECT_THAT(parse_tuning(line + "\n"), IsEmpty()) << line;
  EXPECT_THAT(parse_tuning(std::string("c\tl\tp\0\t1\tn\t1\n", 12)), IsEmpty());
  EXPECT_THAT(shown(parse_tuning("cut off\nc\tl\tp\t1\tn\t1\nc\tl\tp")), ElementsAre("c/l/p: 1 n 1"));
}

TEST(TuningFile, ReadsTheLinesThatItWrites) {
  const TuningChoice choice{"A Card", "cuDNN 9.19.0", "convolution 1x2", 3, "cuDNN engine 38", 12.34};
  EXPECT_EQ(tuning_line(choice), "A Card\tcuDNN 9.19.0\tconvolution 1x2\t3\tcuDNN engine 38\t12.3\n");
  EXPECT_THAT(shown(parse_tuning(tuning_line(choice))),
              ElementsAre("A Card/cuDNN 9.19.0/convolution 1x2: 3 cuDNN engine 38 12.3"));
}

TEST(TuningFile, IsReadWhereThereIsOne) {
  const fs::path folder = fs::path(testing::TempDir()) / "tempera-tuning-file";
  fs::remove_all(folder);
  fs::create_directories(folder);
  EXPECT_THAT(read_tuning({}), IsEmpty());
  EXPECT_THAT(read_tuning(folder / "none.txt"), IsEmpty());
  std::ofstream(folder / "empty.txt") << "";
  EXPECT_THAT(read_tuning(folder / "empty.txt"), IsEmpty());
  std::ofstream(folder / "one.txt") << "c\tl\tp\t1\tn\t1\n";
  EXPECT_THAT(shown(read_tuning(folder / "one.txt")), ElementsAre("c/l/p: 1 n 1"));
  EXPECT_THROW(read_tuning(folder), Error) << "a folder in its place";
  fs::remove_all(folder);
}

}  // namespace
}  // namespace tempera::cuda
