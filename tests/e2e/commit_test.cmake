# Runs cmake/write_commit.cmake (SCRIPT) on folders inside WORK: a checkout, a modified checkout, and other folders.
cmake_minimum_required(VERSION 3.25)

find_program(GIT git)
if(NOT GIT)
  message("there is no git")
  return()
endif()

# git(ARGUMENTS...): runs git in the checkout without the user's settings; its output is in `out`.
function(git)
  execute_process(COMMAND ${CMAKE_COMMAND} -E env GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
      ${GIT} -C ${checkout} -c user.name=test -c user.email=test@localhost ${ARGN}
    OUTPUT_VARIABLE printed OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(out "${printed}" PARENT_SCOPE)
endfunction()

# expect(FOLDER COMMIT): the file that the script writes for the folder must have this commit.
function(expect folder commit)
  execute_process(COMMAND ${CMAKE_COMMAND} -DSOURCE=${folder} -DFILE=${WORK}/commit.cpp -P ${SCRIPT} COMMAND_ERROR_IS_FATAL ANY)
  file(READ ${WORK}/commit.cpp text)
  if(NOT text MATCHES "return \"${commit}\";")
    message(FATAL_ERROR "${folder}: expected ${commit}, got\n${text}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
set(checkout ${WORK}/checkout)
file(MAKE_DIRECTORY ${checkout}/unpacked)
# If the build folder is inside a checkout, git must not find that checkout.
set(ENV{GIT_CEILING_DIRECTORIES} ${WORK})
git(init --quiet)
file(WRITE ${checkout}/file "one")
git(add file)
git(commit --quiet --message=one)
git(tag v9)  # a tag changes nothing
git(rev-parse --short=12 HEAD)

expect(${checkout} ${out})
file(TIMESTAMP ${WORK}/commit.cpp before "%s.%f")
expect(${checkout} ${out})
file(TIMESTAMP ${WORK}/commit.cpp after "%s.%f")
if(NOT before STREQUAL after)
  message(FATAL_ERROR "commit.cpp was written again though nothing had changed")
endif()
file(WRITE ${checkout}/untracked "")
expect(${checkout} ${out})
file(WRITE ${checkout}/file "another")
expect(${checkout} ${out}-modified)
git(commit --quiet --all --message=another)
git(rev-parse --short=12 HEAD)
expect(${checkout} ${out})
expect(${checkout}/unpacked unknown)  # sources of an archive, inside another project's checkout
file(MAKE_DIRECTORY ${WORK}/alone)
expect(${WORK}/alone unknown)
file(REMOVE_RECURSE ${WORK})
