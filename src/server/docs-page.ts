import { html, raw } from 'hono/html'
import { hash } from 'node:crypto'
import { apiRoutes, paths, type ApiAnswer, type ApiParameter, type ApiRoute } from './api-routes.ts'
import { apiSchemas } from './api-schemas.ts'
import { apiRules, neededFor, openApiPath } from './openapi.ts'
import { fieldsOf, typeOf } from './schema-fields.ts'

type Html = ReturnType<typeof html>

const style = `
:root { color-scheme: light dark; --ink: light-dark(#1b1f24, #e6e8eb); --soft: light-dark(#57606a, #9aa4af);
  --paper: light-dark(#fff, #14171b); --box: light-dark(#f4f5f7, #1e2329); --line: light-dark(#d8dce1, #343b44);
  --link: light-dark(#0a58b5, #7ab8ff) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.6rem; margin: .5rem 0 } h2 { font-size: 1.2rem; margin: 0 } h3 { font-size: 1rem; margin: 1rem 0 .3rem }
a { color: var(--link) } code, pre { font: .9em/1.45 ui-monospace, monospace }
code { background: var(--box); border-radius: .25rem; padding: .05rem .3rem }
pre { background: var(--box); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; margin: .3rem 0;
  white-space: pre-wrap }
section { border-top: 1px solid var(--line); padding: 1.2rem 0 }
nav ul { list-style: none; margin: 0 0 1.2rem; padding: 0 } nav li { padding: .15rem 0 }
dl { margin: 0; display: grid; grid-template-columns: minmax(9rem, 16rem) 1fr; gap: .3rem 1rem }
dt code { background: none; padding: 0 } dd { margin: 0 }
.soft { color: var(--soft) } .path { font-family: ui-monospace, monospace }
:target { scroll-margin-top: .5rem } :target h2 { text-decoration: underline }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0 } dd { padding: 0 0 .5rem 1rem } }
`

/** Nothing but the one style: no script, no font, no picture from anywhere. */
export const docsPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', style, 'base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** In one piece: the policy holds to every byte between the tags. */
const styleElement = raw(`<style>${style}</style>`)

/** The API as one page. */
export async function docsPage(version: string): Promise<string> {
  const page = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Reflash API</title>
        <link rel="icon" href="data:," />
        ${styleElement}
      </head>
      <body>
        <h1>Reflash API <span class="soft">${version}</span></h1>
        ${apiRules.map((rule) => html`<p>${inline(rule)}</p>`)}
        <p>The same for programs: <a href="${paths.openapi}">openapi.json</a></p>
        <nav aria-label="Routes">
          <ul>
            ${apiRoutes.map(linkOf)}
          </ul>
        </nav>
        <main>
          ${apiRoutes.map(sectionOf)}
          <section>
            <h2>Answers</h2>
            ${Object.entries(apiSchemas).map(
              ([name, schema]) =>
                html`<h3 id="${name}">${name}</h3>
                  <dl>${fieldsOf(schema).map(fieldRow)}</dl>`,
            )}
          </section>
        </main>
      </body>
    </html>`
  return String(page)
}

const linkOf = ({ id, summary }: ApiRoute): Html =>
  html`<li>
    <a class="path" href="#${id}">${openApiPath(paths[id])}</a> <span class="soft">${summary}</span>
  </li>`

const sectionOf = (route: ApiRoute): Html =>
  html`<section id="${route.id}">
    <h2>${route.summary}</h2>
    <p class="path">GET ${openApiPath(paths[route.id])}</p>
    <p>${inline(route.description)} <span class="soft">${inline(neededFor(route))}</span></p>
    <pre>curl ${route.example}</pre>
    ${
      route.parameters.length === 0
        ? ''
        : html`<h3>Parameters</h3>
            <dl>${route.parameters.map(parameterRow)}</dl>`
    }
    <h3>Answers</h3>
    <dl>${route.answers.map(answerRow)}</dl>
  </section>`

const parameterRow = ({ name, in: place, description, schema }: ApiParameter): Html =>
  html`<dt><code>${name}</code> <span class="soft">${place}</span></dt>
    <dd>${inline(description)} <span class="soft">${typeOf(schema)}</span></dd>`

const answerRow = ({ status, description, content = {} }: ApiAnswer): Html =>
  html`<dt><code>${status}</code></dt>
    <dd>${inline(description)} ${Object.entries(content).map(contentOf)}</dd>`

const contentOf = ([type, schema]: [string, Parameters<typeof typeOf>[0]]): Html =>
  html`<span class="soft"
    >${type}${schema.$ref ? html` <a href="#${typeOf(schema)}">${typeOf(schema)}</a>` : ''}</span
  > `

const fieldRow = ({ path, type, isOptional, description }: ReturnType<typeof fieldsOf>[number]): Html =>
  html`<dt><code>${path}</code></dt>
    <dd>${inline(description)} <span class="soft">${type}${isOptional ? ', may be absent' : ''}</span></dd>`

/** Text in which backquotes mark code. */
const inline = (text: string): Html[] =>
  text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : html`${part}`))
