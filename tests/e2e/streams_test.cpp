// Pictures that go to no file: to standard output, pipes and devices. And pictures of a request that is stopped: those
// that are finished are files already.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "image/png.h"
#include "program.h"
#include "tiny_model.h"

namespace tempera::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

class Streams : public testing::Test {
 protected:
  Streams() {
    tiny_folder();  // made before TMPDIR changes
    fs::create_directory(folder_ / "temporary");
    setenv("TMPDIR", (folder_ / "temporary").c_str(), 1);  // for pictures that cannot be written
    EXPECT_EQ(generate({"--output", "file.png"}).status, 0);
    expected_ = read_file(folder_ / "file.png");
  }
  ~Streams() override { before_.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", before_.c_str(), 1); }

  Ran generate(const std::vector<std::string>& more, Surroundings surroundings = {}) {
    surroundings.folder = folder_.path();
    return run_tempera(generate_arguments(more), surroundings);
  }

  const std::string before_ = std::getenv("TMPDIR") == nullptr ? "" : std::getenv("TMPDIR");
  TemporaryFolder folder_;
  std::string expected_;  // the bytes of the picture
};

TEST_F(Streams, StandardOutputGetsThePictureAlone) {
  for (const char* name : {"-", "/dev/stdout", "/proc/self/fd/1"}) {
    const Ran ran = generate({"--output", name});
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_TRUE(ran.out == expected_) << name;
    EXPECT_EQ(ran.err, "") << name;
  }
  const Ran with_json = generate({"--output", "-", "--json"});
  EXPECT_TRUE(with_json.out == expected_);
  EXPECT_EQ(json::parse(with_json.err).at("files"), json({"-"}));
  Surroundings redirected;
  redirected.out_file = folder_ / "redirected.png";
  write_file(redirected.out_file, "");
  EXPECT_EQ(generate({"--output", "/dev/stdout"}, redirected).status, 0);
  EXPECT_TRUE(read_file(redirected.out_file) == expected_);
  EXPECT_THAT(folder_.names(), ElementsAre("file.png", "redirected.png", "temporary"));
}

TEST_F(Streams, AreRefusedBeforeTheWork) {
  const auto refused = [&](const std::vector<std::string>& more, Surroundings surroundings = {}) {
    std::vector<std::string> arguments = {"--steps", "9999"};  // would take minutes
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Ran ran = generate(arguments, std::move(surroundings));
    EXPECT_EQ(ran.status, 2);
    EXPECT_EQ(ran.out, "");
    return ran.err;
  };
  EXPECT_THAT(refused({"--output", "-", "--images", "2"}),
              AllOf(HasSubstr("is for one picture, but the request has 2"), HasSubstr("give the name of a file")));
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refused({"--output", "pipe", "--images", "2"}), HasSubstr("--output 'pipe' is for one picture"));
  int terminal = -1, other_end = -1;
  char name[64];
  ASSERT_EQ(openpty(&terminal, &other_end, name, nullptr, nullptr), 0);
  Surroundings on_terminal;
  on_terminal.out_file = name;
  EXPECT_THAT(refused({"--output", "-"}, on_terminal), HasSubstr("is a terminal: send it to a file or a pipe"));
  close(terminal);
  close(other_end);
  // Errors of the request are no part of the picture.
  const Ran ran = generate({"--output", "-", "--json", "--vae", "./none.safetensors"});
  EXPECT_EQ(ran.status, 2);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, HasSubstr("\"bad_file\""));
}

TEST_F(Streams, PipesAndDevicesAreWrittenDirectly) {
  const fs::path pipe = folder_ / "pipe.png";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = read_file(pipe); });
  const Ran ran = generate({"--output", "pipe.png"});
  reader.join();
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_TRUE(read == expected_);
  EXPECT_EQ(ran.out, "pipe.png\n");
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_EQ(generate({"--output", "/dev/null"}).status, 0);
}

// A picture is kept if its stream fails.
TEST_F(Streams, APictureIsNotLost) {
  const auto kept = [&] {
    const std::string bytes = read_file(folder_ / "temporary/tempera-7.png");
    fs::remove(folder_ / "temporary/tempera-7.png");
    return bytes == expected_;
  };
  Surroundings full;
  full.out_file = "/dev/full";
  const Ran no_space = generate({"--output", "-"}, full);
  EXPECT_EQ(no_space.status, 1);
  EXPECT_THAT(no_space.err, AllOf(HasSubstr("cannot write '-'"), HasSubstr("temporary/tempera-7.png'")));
  EXPECT_TRUE(kept());
  ASSERT_EQ(mkfifo((folder_ / "pipe.png").c_str(), 0600), 0);
  Surroundings stopped;
  bool sent = false;
  stopped.on_error_text = [&](std::string_view err, pid_t process) {
    if (sent || err.find("waiting for a program that reads 'pipe.png'") == err.npos) return;
    sent = true;
    kill(process, SIGINT);
  };
  const Ran unread = generate({"--output", "pipe.png"}, stopped);
  EXPECT_EQ(unread.status, 130) << unread.err;
  EXPECT_THAT(unread.err, HasSubstr("temporary/tempera-7.png'"));
  EXPECT_TRUE(kept());
}

TEST_F(Streams, FinishedPicturesOfARequestAreFiles) {
  constexpr int kImages = 60;
  Surroundings surroundings;
  surroundings.terminal = true;
  bool sent = false;
  surroundings.on_error_text = [&](std::string_view err, pid_t process) {
    if (sent || err.find("decode 2/60") == err.npos) return;
    sent = true;
    EXPECT_TRUE(read_file(folder_ / "a.png") == expected_) << "saved before the second one is decoded";
    kill(process, SIGINT);
  };
  const Ran ran = generate({"--images", std::to_string(kImages), "--output", "a.png"}, surroundings);
  EXPECT_EQ(ran.status, 130) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("finished before that: a.png"));
  EXPECT_TRUE(read_file(folder_ / "a.png") == expected_);
  EXPECT_LT(folder_.names().size(), static_cast<size_t>(kImages));
}

}  // namespace
}  // namespace tempera::test
